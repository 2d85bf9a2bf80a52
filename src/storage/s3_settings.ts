/** Where S3 is and who asks: from the variables and files that the AWS command line reads. */
import { InputError } from "../util/errors.ts";
import { type AwsFiles, awsFilesOf, type AwsProfile, readAwsProfile } from "./aws_profile.ts";

/** A key pair, perhaps of limited time. */
export interface S3Credentials {
  /** Its public half. */
  readonly accessKeyId: string;
  /** Its secret half. */
  readonly secretAccessKey: string;
  /** Comes with keys of limited time. */
  readonly sessionToken?: string;
}

/** How requests to S3 are made. */
export interface S3Settings {
  /** Region of the buckets; another one that the server names is taken up. `us-east-1` by default. */
  readonly region?: string;
  /** URL of a service other than Amazon's: MinIO, R2, Ceph. The bucket is the first part of the path there. */
  readonly endpoint?: string;
  /** Requests are not signed without. */
  readonly credentials?: S3Credentials;
  /** Where the credentials come from, for messages. */
  readonly origin?: string;
  /** Whether the owner of these credentials pays for what is read, where buckets ask for that. */
  readonly requesterPays?: boolean;
}

/** Where settings are looked up. */
export interface S3Surroundings {
  /** An environment variable. */
  readonly variable: (name: string) => string | undefined;
}

/** A variable of the environment; `~` is looked up where that is allowed. */
function environmentVariable(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    if (!name.startsWith("AWS_")) return undefined; // no home, no files in it
    throw new InputError(
      'addresses of S3 need the variables of the environment: run Deno with "--allow-env=AWS_*,HOME"',
    );
  }
}

/** What is true, in the words that programs for S3 take: the environment has no rule for it. */
function isYes(value: string | undefined): boolean {
  return /^(1|true|yes|on)$/i.test(value ?? "");
}

function credentialsOfVariables(variable: S3Surroundings["variable"]): S3Credentials | undefined {
  const accessKeyId = variable("AWS_ACCESS_KEY_ID"), secretAccessKey = variable("AWS_SECRET_ACCESS_KEY");
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const [there, missing] = accessKeyId === undefined
      ? ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"]
      : ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    throw new InputError(`${there} is set and ${missing} is not: set both, or neither`);
  }
  return { accessKeyId, secretAccessKey, sessionToken: variable("AWS_SESSION_TOKEN") };
}

function credentialsOfProfile(profile: AwsProfile): S3Credentials | undefined {
  const accessKeyId = profile.get("aws_access_key_id"),
    secretAccessKey = profile.get("aws_secret_access_key");
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken: profile.get("aws_session_token") || undefined };
}

function filesOf(variable: S3Surroundings["variable"]): AwsFiles {
  const home = variable("HOME") ?? variable("USERPROFILE");
  const files: AwsFiles = home === undefined ? {} : awsFilesOf(home);
  return {
    credentials: variable("AWS_SHARED_CREDENTIALS_FILE") ?? files.credentials,
    config: variable("AWS_CONFIG_FILE") ?? files.config,
  };
}

/**
 * Reads `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_DEFAULT_REGION`,
 * `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, and the profile `AWS_PROFILE` of `~/.aws`; variables come before profiles.
 * `AWS_NO_SIGN_REQUEST` (of GDAL) or `AWS_SKIP_SIGNATURE` (of object_store) leave credentials out, and
 * `AWS_REQUEST_PAYER=requester` (of both) agrees to pay.
 *
 * @throws {InputError} where the environment or the files may not be read, or contradict themselves
 */
export async function readS3Settings(
  { variable }: S3Surroundings = { variable: environmentVariable },
): Promise<S3Settings> {
  const unsigned = isYes(variable("AWS_NO_SIGN_REQUEST")) || isYes(variable("AWS_SKIP_SIGNATURE"));
  const fromVariables = unsigned ? undefined : credentialsOfVariables(variable);
  const asked = variable("AWS_PROFILE") ?? variable("AWS_DEFAULT_PROFILE");
  const name = asked ?? "default";
  const profile: AwsProfile = unsigned || fromVariables
    ? await readAwsProfile(filesOf(variable), name, false).catch(() => new Map())
    : await readAwsProfile(filesOf(variable), name, asked !== undefined);
  const fromProfile = unsigned || fromVariables ? undefined : credentialsOfProfile(profile);
  const endpoint = variable("AWS_ENDPOINT_URL_S3") ?? variable("AWS_ENDPOINT_URL") ??
    profile.get("endpoint_url");
  if (endpoint !== undefined && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) {
    throw new InputError(
      `the endpoint of S3, "${endpoint}", is no URL: it should look like https://host:9000`,
    );
  }
  return {
    region: variable("AWS_REGION") ?? variable("AWS_DEFAULT_REGION") ?? profile.get("region"),
    endpoint,
    credentials: fromVariables ?? fromProfile,
    origin: fromVariables ? "AWS_ACCESS_KEY_ID" : fromProfile ? `the AWS profile "${name}"` : undefined,
    requesterPays: variable("AWS_REQUEST_PAYER") === "requester",
  };
}
