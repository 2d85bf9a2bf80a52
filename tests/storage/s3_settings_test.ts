import { parseAwsIni } from "../../src/storage/aws_profile.ts";
import { readS3Settings, type S3Settings } from "../../src/storage/s3_settings.ts";
import { S3Account } from "../../src/storage/s3_account.ts";
import { Storage } from "../../src/storage/storage.ts";
import { InputError } from "../../src/util/errors.ts";
import { assertEquals, assertRejects, assertStringIncludes } from "../deps.ts";
import { inFolder } from "../support/folder.ts";
import { someBytes, TestServer } from "../support/http_server.ts";

const credentialsFile = `
# of the team
[default]
aws_access_key_id = DEFAULT
aws_secret_access_key=default/secret+
[work]
aws_access_key_id = WORK   # mine
aws_secret_access_key = work=secret
aws_session_token = token
`;
const configFile = `
[default]
region = eu-central-1
s3 =
  addressing_style = path
[profile work]
region = us-west-2
endpoint_url = https://minio:9000/
[profile sso]
sso_session = company
[profile empty]
output = json
`;

/** Settings of these variables, with the files above in the home folder. */
async function settingsOf(variables: Record<string, string>): Promise<S3Settings> {
  let settings: S3Settings = {};
  await inFolder(async (home) => {
    await Deno.mkdir(`${home}/.aws`);
    await Deno.writeTextFile(`${home}/.aws/credentials`, credentialsFile);
    await Deno.writeTextFile(`${home}/.aws/config`, configFile);
    settings = await readS3Settings({ variable: (name) => ({ HOME: home, ...variables })[name] });
  });
  return settings;
}

const keys = { AWS_ACCESS_KEY_ID: "ID", AWS_SECRET_ACCESS_KEY: "secret" };

Deno.test("variables come first", async () => {
  const variables = {
    ...keys,
    AWS_SESSION_TOKEN: "token",
    AWS_REGION: "ap-south-1",
    AWS_DEFAULT_REGION: "us-east-2",
    AWS_ENDPOINT_URL: "http://a:1",
    AWS_ENDPOINT_URL_S3: "http://b:2",
    AWS_REQUEST_PAYER: "requester",
  };
  assertEquals(await settingsOf(variables), {
    region: "ap-south-1",
    endpoint: "http://b:2",
    credentials: { accessKeyId: "ID", secretAccessKey: "secret", sessionToken: "token" },
    origin: "AWS_ACCESS_KEY_ID",
    requesterPays: true,
  });
  const second = await settingsOf({
    ...keys,
    AWS_DEFAULT_REGION: "us-east-2",
    AWS_ENDPOINT_URL: "http://a:1",
  });
  assertEquals([second.region, second.endpoint], ["us-east-2", "http://a:1"]);
});

Deno.test("profiles come from the files of the AWS command line", async () => {
  const ofDefault = await settingsOf({});
  assertEquals(ofDefault.credentials?.secretAccessKey, "default/secret+");
  assertEquals([ofDefault.region, ofDefault.origin], ["eu-central-1", 'the AWS profile "default"']);
  const work = await settingsOf({ AWS_PROFILE: "work" });
  assertEquals(work.credentials, {
    accessKeyId: "WORK",
    secretAccessKey: "work=secret",
    sessionToken: "token",
  });
  assertEquals([work.region, work.endpoint], ["us-west-2", "https://minio:9000/"]);
  assertEquals((await settingsOf({ AWS_PROFILE: "empty" })).credentials, undefined);
  assertEquals((await settingsOf({ ...keys, AWS_PROFILE: "work" })).region, "us-west-2");
});

Deno.test("without files and home there are no credentials", async () => {
  const settings = await readS3Settings({ variable: () => undefined });
  assertEquals([settings.credentials, settings.region, settings.endpoint], [undefined, undefined, undefined]);
  await readS3Settings({ variable: (name) => name === "HOME" ? "/nowhere/at/all" : undefined });
});

Deno.test("requests are left unsigned where that is asked for", async () => {
  for (const name of ["AWS_NO_SIGN_REQUEST", "AWS_SKIP_SIGNATURE"]) {
    assertEquals((await settingsOf({ ...keys, [name]: "YES" })).credentials, undefined);
    assertEquals((await settingsOf({ ...keys, [name]: "false" })).credentials?.accessKeyId, "ID");
  }
  assertEquals(
    (await settingsOf({ AWS_PROFILE: "sso", AWS_NO_SIGN_REQUEST: "true" })).credentials,
    undefined,
  );
});

Deno.test("settings that cannot be right are refused in one sentence", async () => {
  const refused: [Record<string, string>, string][] = [
    [{ AWS_ACCESS_KEY_ID: "ID" }, "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not"],
    [{ AWS_SECRET_ACCESS_KEY: "secret" }, "AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not"],
    [{ AWS_PROFILE: "wrok" }, 'there is no AWS profile "wrok"; there are default, work, sso, empty'],
    [{ AWS_PROFILE: "sso" }, "aws configure export-credentials --profile sso --format env"],
    [{ AWS_ENDPOINT_URL: "minio:9000" }, "it should look like https://host:9000"],
  ];
  for (const [variables, expected] of refused) {
    const { message } = await assertRejects(() => settingsOf(variables), InputError);
    assertStringIncludes(message, expected);
  }
});

Deno.test("parseAwsIni() reads sections, comments and nothing nested", () => {
  const sections = parseAwsIni(
    "stray = 1\r\n[ a ]\r\nX = 1 ; one\r\n# y = 2\r\ns3 =\r\n  region = nested\r\n[a]\r\nz=3#4\r\n[b\r\n",
  );
  assertEquals([...sections].map(([name, values]) => [name, [...values]]), [
    ["a", [["x", "1"], ["s3", ""], ["z", "3#4"]]],
  ]);
});

Deno.test("credentials that were renewed while a program runs are read again", async () => {
  await using server = new TestServer(someBytes(100));
  const tokens = ["old", "new"];
  const read: string[] = [];
  const account = new S3Account(() => {
    read.push(tokens[read.length]);
    const credentials = { accessKeyId: "id", secretAccessKey: "secret", sessionToken: read[read.length - 1] };
    return Promise.resolve({ endpoint: server.origin, credentials });
  });
  const route = account.route("data", "x", {}, "s3://data/x");
  assertEquals((await route.request()).headers["x-amz-security-token"], "old");
  const expired = { status: 400, headers: new Headers(), code: "ExpiredToken" };
  assertEquals(await route.amend(expired), true);
  assertEquals((await route.request()).headers["x-amz-security-token"], "new");
  tokens.push("new");
  assertEquals(await route.amend(expired), false);
  assertEquals(await route.amend({ ...expired, code: "AccessDenied" }), false);
});

Deno.test("Amazon's hosts are named by bucket and region", async () => {
  const urlOf = async (region: string | undefined, bucket: string, key: string, query = {}) =>
    (await new S3Account(() => Promise.resolve({ region })).route(bucket, key, query, "").request()).url;
  assertEquals(
    await urlOf(undefined, "data", "a b/c+d"),
    "https://data.s3.us-east-1.amazonaws.com/a%20b/c%2Bd",
  );
  assertEquals(await urlOf("cn-north-1", "data", "x"), "https://data.s3.cn-north-1.amazonaws.com.cn/x");
  assertEquals(await urlOf("eu-west-1", "my.data", "x"), "https://s3.eu-west-1.amazonaws.com/my.data/x");
  assertEquals(
    await urlOf("eu-west-1", "data", "", { prefix: "a/*", "list-type": "2" }),
    "https://data.s3.eu-west-1.amazonaws.com/?list-type=2&prefix=a%2F%2A",
  );
});

Deno.test("no variable is asked for before an address of S3 is used", async () => {
  using storage = new Storage();
  const { message } = await assertRejects(() => storage.open("s3://data/x"), InputError);
  assertStringIncludes(message, 'run Deno with "--allow-env=AWS_*,HOME"');
});
