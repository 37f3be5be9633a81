"""pymemcache and redis-py on the same keys: with_both.py MEMCACHE_PORT RESP_PORT KIND. Ends with an error on a wrong
answer. KIND is what is behind: store, redis or memcached."""

import sys

import redis
from pymemcache import serde
from pymemcache.client.base import Client

memcache_port, resp_port, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
memcache = Client(
    ("127.0.0.1", memcache_port),
    timeout=30,
    default_noreply=False,
    serde=serde.pickle_serde,
)
resp = redis.Redis(port=resp_port, protocol=3, socket_timeout=30)


def expect(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


memcache.flush_all()

# What pymemcache notes in the flags comes back, whoever has read the value meanwhile.
for value in ["text", 42, b"bytes", {"a": [1, None]}, 2.5]:
    expect(memcache.set("object", value, expire=100), True)
    plain = resp.get("object")
    assert isinstance(plain, bytes), plain
    got = memcache.get("object")
    expect((type(got), got), (type(value), value))
    expect(resp.strlen("object"), len(plain))
    assert 0 < resp.ttl("object") <= 100, resp.ttl("object")
expect(memcache.set("text", "hello"), True)
expect(resp.get("text"), b"hello")
expect(memcache.append("text", ", you"), True)
expect(resp.get("text"), b"hello, you")
expect(resp.append("text", "!"), 11)
expect(memcache.get("text"), "hello, you!")

# What Redis' client stores has no flags.
expect(resp.set("text", "plain", ex=100), True)
expect(memcache.get("text"), b"plain")
expect(memcache.touch("text", 50), True)
assert 0 < resp.ttl("text") <= 50
expect(resp.persist("text"), True)
expect(resp.ttl("text"), -1)

# Numbers.
expect(memcache.set("n", 5), True)
expect(resp.incr("n"), 6)
expect(memcache.incr("n", 4), 10)
expect(int(memcache.get("n")), 10)
expect(resp.decr("n", 3), 7)
expect(memcache.incr("n", 1), 8)

# Several keys at once, and what is not there.
expect(resp.mset({f"m{number}": number for number in range(50)}), True)
expect(len(memcache.get_many([f"m{number}" for number in range(60)])), 50)
expect(resp.mget("m1", "none", "m2"), [b"1", None, b"2"])
expect(resp.delete("m1", "m2", "none"), 2)
expect(memcache.get_many(["m1", "m2", "m3"]), {"m3": b"3"})
expect(memcache.delete("m3"), True)
expect(resp.exists("m3", "m4"), 1)
expect(resp.set("m4", "x", nx=True), None)
expect(resp.set("m4", "x", xx=True), True)
expect(memcache.add("m4", "y"), False)
expect(resp.getdel("m4"), b"x")
expect(memcache.add("m4", "y"), True)

# Compare and swap over what the other writes.
value, unique = memcache.gets("text")
expect(value, b"plain")
expect(resp.set("text", "changed"), True)
expect(memcache.cas("text", "late", unique), False)
value, unique = memcache.gets("text")
expect(memcache.cas("text", "in time", unique), True)
expect(resp.get("text"), b"in time")

# Keys that memcache's text cannot name.
expect(resp.set("two words\r\nflush_all\r\n", "kept"), True)
expect(resp.get("two words\r\nflush_all\r\n"), b"kept")
expect(resp.delete("two words\r\nflush_all\r\n"), 1)
if kind != "memcached":
    expect(resp.set("k" * 300, "kept"), True)
    expect(resp.get("k" * 300), b"kept")

expect(resp.flushall(), True)
expect(memcache.get("text"), None)
