/** How an object is asked for. */
import type { HttpAddress } from "./address.ts";
import type { Refusal } from "./refusals.ts";

/** A request without its range. */
export interface RoutedRequest {
  /** Where to. */
  readonly url: string;
  /** Headers that say who asks. */
  readonly headers: Record<string, string>;
}

/** The way to an object: its requests are made anew for every attempt, because signatures age. */
export interface Route {
  /** The address, without credentials. */
  readonly shown: string;
  /** What `fetch` does with redirections. */
  readonly redirect: "follow" | "manual";
  /** Where credentials come from; null where requests are not signed, undefined where that is not known. */
  credentials?(): string | null | undefined;
  /** The next request. */
  request(): Promise<RoutedRequest>;
  /** Is told where a redirection has led. */
  ledTo(url: string): void;
  /** Makes of a refusal what can be made; whether the next request will differ, so that it is worth asking at once. */
  amend(refusal: Refusal): Promise<boolean>;
}

/** Statuses of a place that a redirection led to and that is there no longer, or whose signature has expired. */
const outdated = new Set([400, 401, 403, 404, 410]);

/** Who asks the Hugging Face hub: the user of `HF_TOKEN`, where this program may know it; never another host. */
export function hubAuthorization(
  url: string,
  variable: (name: string) => string | undefined = grantedVariable,
): string | undefined {
  const { hostname, protocol } = new URL(url);
  const token = hostname === "huggingface.co" && protocol === "https:"
    ? variable("HF_TOKEN")?.trim()
    : undefined;
  return token ? `Bearer ${token}` : undefined;
}

function grantedVariable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/** The way to a URL. Where it redirects, reading goes on from there until that is refused: one request, not two. */
export function httpRoute({ url, authorization = hubAuthorization(url), shown }: HttpAddress): Route {
  let target = url;
  return {
    shown,
    redirect: "follow",
    request: () => {
      const own = new URL(target).origin === new URL(url).origin;
      const headers: Record<string, string> = authorization && own ? { authorization } : {};
      return Promise.resolve({ url: target, headers });
    },
    ledTo: (to) => {
      target = to;
    },
    amend: ({ status }) => {
      const changed = target !== url && outdated.has(status);
      target = changed ? url : target;
      return Promise.resolve(changed);
    },
  };
}
