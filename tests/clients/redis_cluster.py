"""redis-py as for one Redis, without its cluster mode, in front of a Redis Cluster: PORT."""

import sys

import redis

PORT = int(sys.argv[1])


def main():
    for protocol in (2, 3):
        client = redis.Redis(port=PORT, decode_responses=True, protocol=protocol, socket_timeout=20)
        client.flushall()
        keys(client)
        one_slot(client)
        watching(client)
        waiting_and_listening(client)
        assert client.dbsize() > 0
    print("done")


def keys(client):
    names = [f"key:{number}" for number in range(300)]
    assert client.mset({name: name for name in names})
    assert client.mget(names) == names
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.append(name, "!").strlen(name).hset(f"h:{name}", "f", "v").hgetall(f"h:{name}")
    replies = pipeline.execute()
    expected = []
    for name in names:
        expected += [len(name) + 1, len(name) + 1, 1, {"f": "v"}]
    assert replies == expected, replies
    assert client.dbsize() == 600
    assert client.delete(*names) == 300
    assert client.exists(*names) == 0


def one_slot(client):
    client.sadd("{s}a", 1, 2, 3)
    client.sadd("{s}b", 2, 3, 4)
    assert client.sinter("{s}a", "{s}b") == {"2", "3"}
    with client.pipeline() as transaction:
        transaction.set("{s}n", 1).incr("{s}n").smembers("{s}a")
        assert transaction.execute() == [True, 2, {"1", "2", "3"}]
    try:
        client.sinter("a", "b")
        raise AssertionError("keys of two slots")
    except redis.RedisError as error:
        assert "hash to the same slot" in str(error) or "CROSSSLOT" in repr(error), repr(error)
    script = client.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
    for number in range(30):
        assert script(keys=[f"n:{number}"], args=[7]) == 7


def watching(client):
    def double(transaction):
        value = int(transaction.get("{w}n") or 1)
        transaction.multi()
        transaction.set("{w}n", value * 2)

    for _ in range(5):
        client.transaction(double, "{w}n")
    assert client.get("{w}n") == "32"


def waiting_and_listening(client):
    client.rpush("list", "x")
    assert client.blpop("list", timeout=5)[1] == "x"
    assert client.blpop("list", timeout=1) is None
    listener = client.pubsub()
    listener.subscribe("news")
    listener.psubscribe("n*")
    assert {message(listener)["type"] for _ in range(2)} == {"subscribe", "psubscribe"}
    client.publish("news", "hi")
    heard = [message(listener) for _ in range(2)]
    assert [(one["type"], one["data"]) for one in heard] == [("message", "hi"), ("pmessage", "hi")]
    listener.close()


def message(listener):
    found = listener.get_message(timeout=10)
    assert found is not None
    return found


main()
