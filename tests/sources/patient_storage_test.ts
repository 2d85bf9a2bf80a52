import { patientStorage } from "../../src/sources/patient_storage.ts";
import { assertEquals } from "../deps.ts";
import { someBytes, TestServer } from "../support/http_server.ts";

Deno.test("a network that stays away is told of once, however many reads wait for it", async () => {
  await using server = new TestServer(someBytes(100));
  const notices: string[] = [];
  using storage = patientStorage((message) => notices.push(message), {
    retry: { firstDelay: 1, attempts: 5 },
  });
  server.faults.push({ status: 503 }, { status: 503 });
  await storage.read(server.url, 100);
  assertEquals(notices, []);
  server.always = { status: 503 };
  await Promise.allSettled([1, 2, 3].map(() => storage.read(server.url, 100)));
  assertEquals(notices, [
    `"${server.url}" cannot be read for now: the server answers 503 Service Unavailable; attempt 4 follows in 1 s`,
  ]);
});
