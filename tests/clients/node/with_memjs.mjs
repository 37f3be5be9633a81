// memjs, which speaks memcache's binary protocol: with_memjs.mjs PORT
import memjs from "memjs";
import { expect } from "./expect.mjs";

const client = memjs.Client.create(`127.0.0.1:${process.argv[2]}`);
const get = async (key) => (await client.get(key)).value;

expect(Object.values(await client.flush())[0], true);
expect(await get("a"), null);
expect(await client.set("a", "1", { expires: 100 }), true);
expect((await get("a")).toString(), "1");
expect(await client.add("a", "2", {}), false);
expect(await client.replace("a", "2", {}), true);
expect(await client.replace("none", "2", {}), false);
expect(await client.append("a", ">"), true);
expect((await get("a")).toString(), "2>");
expect((await client.increment("n", 5, { initial: 7 })).value, 7);
expect((await client.increment("n", 5, {})).value, 12);
expect((await client.decrement("n", 20, {})).value, 0);
expect(await client.touch("a", 100), true);
const binary = Buffer.from([0, 255, 13, 10, 128]);
expect(await client.set("b", binary, {}), true);
expect(await get("b"), binary);
expect(await client.set("schlüssel", "ü", {}), true);
expect((await get("schlüssel")).toString(), "ü");
const large = Buffer.alloc(900_000, "x");
expect(await client.set("large", large, {}), true);
expect(await get("large"), large);
expect(await client.delete("a"), true);
expect(await client.delete("a"), false);
await Promise.all(Array.from({ length: 500 }, (_, n) => client.set(`p${n}`, `${n}`, {})));
const answers = await Promise.all(Array.from({ length: 500 }, (_, n) => get(`p${n}`)));
expect(answers.map(String), Array.from({ length: 500 }, (_, n) => `${n}`));
client.close();
