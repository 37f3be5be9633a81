// ioredis with its defaults (RESP3), and with RESP2: with_ioredis.mjs PORT
import { Redis } from "ioredis";
import { expect, oddKeys, refused } from "./expect.mjs";

for (const options of [{}, { protocol: 2 }]) {
  const client = new Redis({ port: Number(process.argv[2]), connectionName: "tester", ...options });
  expect(await client.flushall(), "OK");
  expect(await client.client("GETNAME"), "tester");
  expect(await client.set("a", "1", "EX", 100), "OK");
  expect(await client.get("a"), "1");
  expect((await client.ttl("a")) > 90, true);
  expect(await client.set("a", "2", "NX"), null);
  expect(await client.getset("a", "2"), "1");
  expect(await client.incrbyfloat("f", "0.1"), "0.1");
  expect(await client.mset("m1", "1", "m2", "2"), "OK");
  expect(await client.mget("m1", "none", "m2"), ["1", null, "2"]);
  expect(await client.del("m1", "none"), 1);
  expect(await client.setrange("r", 2, "x"), 3);
  expect(await client.getBuffer("r"), Buffer.from("\0\0x"));
  expect((await client.keys("m*")).sort(), ["m2"]);
  for (const key of oddKeys) {
    expect(await client.set(key, `${key}!`), "OK");
    expect(await client.get(key), `${key}!`);
  }
  const pipeline = client.pipeline();
  for (let n = 0; n < 1000; n += 1) pipeline.set(`p${n}`, n).get(`p${n}`);
  const answers = await pipeline.exec();
  expect(answers.length, 2000);
  expect(answers[1999], [null, "999"]);
  expect(await client.multi().set("t", "1").incr("t").exec(), [[null, "OK"], [null, 2]]);
  await refused(client.call("NO-SUCH-COMMAND"));
  await refused(client.incr("schlüssel"));
  expect(await client.get("a"), "2");
  expect(await client.flushdb(), "OK");
  expect(await client.dbsize(), 0);
  await client.quit();
}
