/** Profiles in `~/.aws/credentials` and `~/.aws/config`, as the AWS command line keeps them. */
import { InputError, messageOf } from "../util/errors.ts";
import { isMissing, joinPath } from "../util/files.ts";

/** The settings of a profile, by name. */
export type AwsProfile = ReadonlyMap<string, string>;

/** Sections of an INI file by name; settings nested by indentation are left out. */
export function parseAwsIni(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  for (const line of text.split(/\r?\n/)) {
    const title = /^\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (title !== undefined) {
      section = sections.get(title) ?? new Map();
      sections.set(title, section);
    }
    const [, name, value] = /^([A-Za-z0-9_]+)\s*=\s*(.*?)\s*(?:\s[#;].*)?$/.exec(line) ?? [];
    if (name !== undefined) section?.set(name.toLowerCase(), value);
  }
  return sections;
}

/** Where the profile's files are. */
export interface AwsFiles {
  /** `~/.aws/credentials`, or undefined where there is no home. */
  readonly credentials?: string;
  /** `~/.aws/config`, likewise. */
  readonly config?: string;
}

/** Where the files are by default. */
export function awsFilesOf(home: string): AwsFiles {
  return { credentials: joinPath(home, ".aws", "credentials"), config: joinPath(home, ".aws", "config") };
}

async function readSections(path: string | undefined): Promise<Map<string, Map<string, string>>> {
  if (path === undefined) return new Map();
  try {
    return parseAwsIni(await Deno.readTextFile(path));
  } catch (error) {
    if (isMissing(error)) return new Map();
    const hint = error instanceof Deno.errors.NotCapable
      ? `run Deno with --allow-read=${path}`
      : messageOf(error);
    throw new InputError(`cannot read "${path}", where credentials of S3 may be: ${hint}`);
  }
}

/** Settings by which credentials come from elsewhere, and which are not followed. */
const elsewhere = [
  "sso_session",
  "sso_start_url",
  "role_arn",
  "credential_process",
  "web_identity_token_file",
];

/**
 * The settings of a profile: those of the credentials file before those of the config file.
 *
 * @throws {InputError} where the profile was asked for and there is none, or its credentials come from elsewhere
 */
export async function readAwsProfile(
  files: AwsFiles,
  name: string,
  wasAskedFor: boolean,
): Promise<AwsProfile> {
  const config = await readSections(files.config);
  const credentials = await readSections(files.credentials);
  const inConfig = config.get(`profile ${name}`) ?? (name === "default" ? config.get(name) : undefined);
  if (wasAskedFor && inConfig === undefined && !credentials.has(name)) {
    const names = [
      ...credentials.keys(),
      ...[...config.keys()].map((title) => title.replace(/^profile\s+/, "")),
    ];
    const known = names.length === 0 ? "" : `; there are ${[...new Set(names)].join(", ")}`;
    throw new InputError(`there is no AWS profile "${name}"${known}`);
  }
  const profile = new Map([...inConfig ?? [], ...credentials.get(name) ?? []]);
  const source = elsewhere.find((setting) => profile.has(setting));
  if (source !== undefined && !profile.has("aws_access_key_id")) {
    throw new InputError(
      `the AWS profile "${name}" takes its credentials from ${source}, which is not followed: set the variables that ` +
        `"aws configure export-credentials --profile ${name} --format env" prints`,
    );
  }
  return profile;
}
