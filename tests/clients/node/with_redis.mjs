// node-redis with its defaults (RESP3), then with its client-side cache: with_redis.mjs PORT
import { createClient } from "redis";
import { eventually, expect, oddKeys, refused } from "./expect.mjs";

const url = `redis://127.0.0.1:${process.argv[2]}`;
const client = createClient({ url, name: "tester" });
await client.connect();
await client.flushAll();
expect(await client.ping(), "PONG");
expect(await client.clientGetName(), "tester");

expect(await client.set("a", "1"), "OK");
expect(await client.get("a"), "1");
expect(await client.get("none"), null);
expect(await client.set("a", "2", { condition: "NX" }), null);
expect(await client.set("a", "2", { expiration: { type: "EX", value: 100 }, GET: true }), "1");
expect((await client.ttl("a")) > 90, true);
expect(await client.getEx("a", { type: "PERSIST" }), "2");
expect(await client.ttl("a"), -1);
expect(await client.incrByFloat("f", 1.5), "1.5");
expect(await client.mSetNX({ m1: "1", m2: "2" }), 1);
expect(await client.mGet(["m1", "none", "m2"]), ["1", null, "2"]);
expect(await client.exists(["m1", "m2", "none"]), 2);
expect(await client.getRange("a", 0, -1), "2");
expect(await client.setRange("r", 3, "x"), 4);
expect(await client.copy("m1", "m3"), 1);
expect(await client.rename("m3", "m4"), "OK");
expect(await client.type("m4"), "string");

const seen = new Set();
for await (const keys of client.scanIterator({ MATCH: "m*" })) keys.forEach((key) => seen.add(key));
expect([...seen].sort(), ["m1", "m2", "m4"]);

for (const key of oddKeys) {
  expect(await client.set(key, `${key}!`), "OK");
  expect(await client.get(key), `${key}!`);
}
const large = "x".repeat(900_000);
expect(await client.set("large", large), "OK");
expect(await client.get("large"), large);

// Requests sent without waiting share a pipeline.
const answers = await Promise.all(Array.from({ length: 2000 }, (_, n) => client.set(`p${n}`, n.toString()).then(() => client.get(`p${n}`))));
expect(answers, Array.from({ length: 2000 }, (_, n) => n.toString()));

expect(await client.multi().set("t", "1").incr("t").get("t").exec(), ["OK", 2, "2"]);
await refused(client.sendCommand(["NO-SUCH-COMMAND"]));
await refused(client.incr("large"));
expect(await client.get("a"), "2");
expect((await client.info("server")).includes("redis_version"), true);

// The cache: a second read asks nobody, and a change by somebody else is heard of.
const cached = createClient({ url, RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0 } });
await cached.connect();
expect(await cached.get("a"), "2");
expect(await cached.get("a"), "2");
await client.set("a", "3");
await eventually(async () => (await cached.get("a")) === "3");
await client.del("a");
await eventually(async () => (await cached.get("a")) === null);
cached.destroy();

await client.flushAll();
expect(await client.dbSize(), 0);
await client.close();
