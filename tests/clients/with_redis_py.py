"""redis-py against a RESP server: with_redis_py.py PORT PROTOCOL (2 or 3). Ends with an error on a wrong answer."""

import sys

import redis

port, protocol = int(sys.argv[1]), int(sys.argv[2])
client = redis.Redis(port=port, protocol=protocol, client_name="tester", socket_timeout=30)


def expect(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def refused(call, *arguments):
    try:
        got = call(*arguments)
    except redis.ResponseError:
        return
    raise AssertionError(f"{call} {arguments} gave {got!r}")


expect(client.ping(), True)
expect(client.echo("hello"), b"hello")
expect(client.client_getname() in ("tester", b"tester"), True)
expect(isinstance(client.client_id(), int), True)
client.flushall()
expect(client.dbsize(), 0)

# Strings.
expect(client.get("a"), None)
expect(client.set("a", b"\x00\xff\r\n"), True)
expect(client.get("a"), b"\x00\xff\r\n")
expect(client.set("a", 1, nx=True), None)
expect(client.set("b", 1, xx=True), None)
expect(client.set("a", "new", get=True), b"\x00\xff\r\n")
expect(client.set("a", "timed", ex=100), True)
expect(90 <= client.ttl("a") <= 100, True)
expect(client.set("a", "kept", keepttl=True), True)
expect(90_000 <= client.pttl("a") <= 100_000, True)
expect(client.set("a", "timed", px=100_000), True)
expect(client.persist("a"), True)
expect(client.ttl("a"), -1)
expect(client.setnx("a", 1), False)
expect(client.setex("c", 100, "v"), True)
expect(client.getset("c", "w"), b"v")
expect(client.getdel("c"), b"w")
expect(client.getdel("c"), None)
expect(client.append("c", "ab"), 2)
expect(client.append("c", "cd"), 4)
expect(client.strlen("c"), 4)
expect(client.type("c"), b"string")
expect(client.type("none"), b"none")

# Many keys.
expect(client.mset({"m1": 1, "m2": 2}), True)
expect(client.mget("m1", "none", "m2"), [b"1", None, b"2"])
expect(client.exists("m1", "m2", "none"), 2)
expect(client.delete("m1", "none"), 1)
expect(client.unlink("m2"), 1)

# Expiry.
expect(client.expire("none", 10), False)
expect(client.expire("a", 100), True)
expect(client.pexpire("a", 100_000), True)
expect(client.ttl("none"), -2)
expect(client.expire("a", -1), True)
expect(client.exists("a"), 0)

# Numbers.
expect([client.incr("n"), client.incrby("n", 41), client.decr("n"), client.decrby("n", 50)], [1, 42, 41, -9])
refused(client.incr, "c")

# Refusals leave the connection in step.
refused(client.execute_command, "NO-SUCH-COMMAND", "x")
refused(client.execute_command, "GET")
expect(client.get("c"), b"abcd")

# Pipelines, and a value that fills many buffers.
large = bytes(range(256)) * 3000
with client.pipeline(transaction=False) as pipeline:
    for number in range(2000):
        pipeline.set(f"p{number}", number).get(f"p{number}")
    pipeline.set("large", large).get("large")
    answers = pipeline.execute()
expect(answers[1:4000:2], [str(number).encode() for number in range(2000)])
expect(answers[-1], large)
expect(client.config_get("appendonly"), {"appendonly": "no"})
expect(client.dbsize(), 2003)
expect(client.flushall(), True)
expect(client.dbsize(), 0)
client.close()
