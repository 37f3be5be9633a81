"""pylibmc (libmemcached) against a memcache server, in the binary protocol.

    with_pylibmc_binary.py PORT

Ends with an error on a wrong answer.
"""

import sys

import pylibmc


def expect(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def expect_error(error, call):
    try:
        call()
    except error:
        return
    raise AssertionError(f"{call} did not raise {error}")


def everything(client):
    client.flush_all()
    expect(client.get("a"), None)
    expect(client.set("a", "text"), True)
    expect(client.get("a"), "text")
    expect(client.add("a", "x"), False)
    expect(client.replace("a", "new"), True)
    expect_error(pylibmc.NotFound, lambda: client.replace("none", "new"))
    expect(client.append("a", ">"), True)
    expect(client.prepend("a", "<"), True)
    expect(client.get("a"), "<new>")
    expect(client.set("n", 10), True)
    expect(client.incr("n", 5), 15)
    expect(client.decr("n", 6), 9)
    expect(client.decr("n", 60), 0)
    expect_error(pylibmc.NotFound, lambda: client.incr("none"))
    # Of what is there libmemcached does not read the flags, and waits in vain for the rest of the next reply.
    expect(client.touch("none", 100), False)
    expect(client.set_multi({f"m{number}": number for number in range(300)}), [])
    wanted = {f"m{number}": number for number in range(300)}
    expect(client.get_multi([f"m{number}" for number in range(400)]), wanted)
    expect(client.delete_multi(["m1", "m2"]), True)
    expect(client.delete("a"), True)
    expect(client.delete("a"), False)
    large = bytes(range(256)) * 3000
    expect(client.set("large", large), True)
    expect(client.get("large"), large)
    expect_error(pylibmc.Error, lambda: client.set("larger", large * 2))
    expect(client.get("large"), large)
    expect(client.set("squeezed", "x" * 100_000, min_compress_len=1000), True)
    expect(client.get("squeezed"), "x" * 100_000)
    client.flush_all()
    expect(client.get("large"), None)


def compare_and_swap(client):
    expect(client.set("c", "old"), True)
    value, unique = client.gets("c")
    expect(value, "old")
    expect(client.cas("c", "new", unique), True)
    expect(client.cas("c", "newer", unique), False)
    expect(client.get("c"), "new")


address = [f"127.0.0.1:{sys.argv[1]}"]
for behaviors in (
    {},
    {"tcp_nodelay": True, "no_block": True},
    {"cas": True},
    {"ketama": True, "remove_failed": 1, "retry_timeout": 1},
):
    everything(pylibmc.Client(address, binary=True, behaviors=behaviors))
compare_and_swap(pylibmc.Client(address, binary=True, behaviors={"cas": True}))
# On a connection of its own: behind other requests libmemcached takes no end of it.
((_, stats),) = pylibmc.Client(address, binary=True).get_stats()
assert int(stats["pid"]) > 0, stats
# Quiet commands are not answered.
quiet = pylibmc.Client(address, binary=True, behaviors={"_noreply": True})
for number in range(1000):
    quiet.set(f"q{number}", number)
quiet.delete("q0")
expect(quiet.get("q999"), 999)
expect(quiet.get("q0"), None)
# What both protocols see.
text, binary = pylibmc.Client(address), pylibmc.Client(address, binary=True)
expect(binary.set("b", 998), True)
expect(text.get("b"), 998)
expect(text.set("t", "text"), True)
expect(binary.get("t"), "text")
