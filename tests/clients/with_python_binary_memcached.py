"""python-binary-memcached (bmemcached) against a memcache server.

    with_python_binary_memcached.py PORT

Ends with an error on a wrong answer.
"""

import sys

import bmemcached


def expect(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def everything(client):
    client.flush_all()
    expect(client.get("a"), None)
    expect(client.set("a", "text"), True)
    expect(client.get("a"), "text")
    expect(client.add("a", "x"), False)
    expect(client.add("b", b"bytes"), True)
    expect(client.get("b"), b"bytes")
    expect(client.replace("a", {"not": ["only", "text"]}), True)
    expect(client.get("a"), {"not": ["only", "text"]})
    expect(client.replace("none", "x"), False)
    expect(client.delete("a"), True)
    expect(client.get("a"), None)

    expect(client.incr("n", 5, default=7), 7)
    expect(client.incr("n", 5), 12)
    expect(client.decr("n", 2), 10)
    expect(client.decr("n", 20), 0)
    expect(client.decr("m", 1), 0)

    expect(client.set("late", "x", time=1000), True)
    expect(client.get("late"), "x")
    expect(client.set("over", "x", time=30 * 24 * 3600 + 1), True)
    expect(client.get("over"), None)

    many = {f"m{number}": number for number in range(500)}
    expect(client.set_multi(many), [])
    expect(client.get_multi(list(many) + ["none"]), many)
    client.delete_multi(["m1", "m2"])
    expect(client.get_multi(["m1", "m2", "m3"]), {"m3": 3})

    large = bytes(range(256)) * 3000
    expect(client.set("large", large, compress_level=0), True)
    expect(client.get("large"), large)
    expect(client.set("two words", "key"), True)
    expect(client.get("two words"), "key")

    for stats in client.stats().values():
        assert int(stats["pid"]) > 0, stats
    client.flush_all()
    expect(client.get("large"), None)


def compare_and_swap(client):
    _, unique = client.set("c", "1", get_cas=True)
    expect(client.gets("c"), ("1", unique))
    expect(client.cas("c", "2", unique), True)
    expect(client.cas("c", "3", unique), False)
    value, second = client.get("c", get_cas=True)
    expect(value, "2")
    assert second != unique, (second, unique)
    expect(client.delete("c", cas=unique), False)
    expect(client.delete("c", cas=second), True)
    expect(client.get("c"), None)
    expect(client.get_multi(["c"], get_cas=True), {})


address = (f"127.0.0.1:{sys.argv[1]}",)
# SASL is offered and turned down; the client goes on without, as it does at a memcached without SASL.
for client in (bmemcached.Client(address), bmemcached.Client(address, "user", "password")):
    everything(client)
    compare_and_swap(client)
    client.disconnect_all()
