"""redis-py's transactions: transactions_with_redis_py.py PORT PROTOCOL (2 or 3). Ends with an error on a wrong answer."""

import sys
import threading

import redis

port, protocol = int(sys.argv[1]), int(sys.argv[2])
ROUNDS, THREADS = 60, 8


def connect():
    return redis.Redis(port=port, protocol=protocol, socket_timeout=30)


def expect(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


client = connect()
client.flushall()

# A pipeline is a transaction by default.
with client.pipeline() as pipeline:
    answers = pipeline.set("a", 1).incr("a").get("a").mset({"b": 2, "c": 3}).mget("a", "b", "none").execute()
expect(answers, [True, 2, b"2", True, [b"2", b"2", None]])
with client.pipeline() as pipeline:
    expect(pipeline.execute(), [])

# An error of one command is raised, and the others are done.
with client.pipeline() as pipeline:
    answers = pipeline.set("a", "x").incr("a").set("b", "done").execute(raise_on_error=False)
expect(answers[0], True)
expect(isinstance(answers[1], redis.ResponseError), True)
expect(client.get("b"), b"done")

# An unknown command discards all of it.
with client.pipeline() as pipeline:
    pipeline.set("b", "never").execute_command("NO-SUCH-COMMAND")
    try:
        pipeline.execute()
        raise AssertionError("it was executed")
    except redis.ResponseError:
        pass
expect(client.get("b"), b"done")

# Large ones.
with client.pipeline() as pipeline:
    for number in range(5000):
        pipeline.set(f"p{number}", number).get(f"p{number}")
    answers = pipeline.execute()
expect(answers[1::2], [str(number).encode() for number in range(5000)])

# A change between WATCH and EXEC.
with client.pipeline() as pipeline:
    pipeline.watch("a")
    connect().set("a", "other")
    pipeline.multi()
    pipeline.set("a", "mine")
    try:
        pipeline.execute()
        raise AssertionError("it was executed")
    except redis.WatchError:
        pass
expect(client.get("a"), b"other")

# The loop that WATCH is for: nobody's increment is lost, on keys that may live on any shard.
client.mset({"left": 0, "right": 0})
failures = []


def raise_both():
    try:
        mine = connect()
        for _ in range(ROUNDS):

            def step(pipeline):
                left, right = int(pipeline.get("left")), int(pipeline.get("right"))
                pipeline.multi()
                pipeline.set("left", left + 1)
                pipeline.set("right", right - 1)

            mine.transaction(step, "left", "right")
    except Exception as error:
        failures.append(error)


threads = [threading.Thread(target=raise_both) for _ in range(THREADS)]
for thread in threads:
    thread.start()
looks = 0
while any(thread.is_alive() for thread in threads):
    with client.pipeline() as pipeline:
        left, right = pipeline.get("left").get("right").execute()
    expect(int(left) + int(right), 0)
    looks += 1
for thread in threads:
    thread.join()
expect(failures, [])
expect(client.mget("left", "right"), [str(ROUNDS * THREADS).encode(), str(-ROUNDS * THREADS).encode()])
assert looks > 0
client.close()
