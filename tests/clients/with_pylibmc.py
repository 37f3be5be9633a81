"""pylibmc (libmemcached) against memcache servers.

    with_pylibmc.py PORT                     every command, on one server
    with_pylibmc.py write|read COUNT PORT…   key-0 … key-(COUNT-1), placed by libmemcached's weighted ketama

Ends with an error on a wrong answer.
"""

import sys

import pylibmc


def expect(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def everything(port):
    for behaviors in ({}, {"tcp_nodelay": True, "no_block": True}, {"cas": True}):
        client = pylibmc.Client([f"127.0.0.1:{port}"], behaviors=behaviors)
        client.flush_all()
        expect(client.get("a"), None)
        expect(client.set("a", "text"), True)
        expect(client.get("a"), "text")
        expect(client.add("a", "x"), False)
        expect(client.replace("a", "new"), True)
        expect(client.append("a", ">"), True)
        expect(client.prepend("a", "<"), True)
        expect(client.get("a"), "<new>")
        expect(client.set("n", 10), True)
        expect(client.incr("n", 5), 15)
        expect(client.decr("n", 6), 9)
        expect(client.touch("n", 100), True)
        expect(client.set_multi({f"m{number}": number for number in range(300)}), [])
        wanted = {f"m{number}": number for number in range(300)}
        expect(client.get_multi([f"m{number}" for number in range(400)]), wanted)
        expect(client.delete_multi(["m1", "m2"]), True)
        expect(client.delete("a"), True)
        expect(client.delete("a"), False)
        large = bytes(range(256)) * 3000
        expect(client.set("large", large), True)
        expect(client.get("large"), large)
        expect(len(client.get_stats()), 1)
        if "cas" in behaviors:
            value, unique = client.gets("n")
            expect(client.cas("n", 1, unique), True)
            expect(client.cas("n", 2, unique), False)
        client.flush_all()
        expect(client.get("large"), None)
        client.disconnect_all()


def placed(action, count, ports):
    client = pylibmc.Client(
        [f"127.0.0.1:{port}" for port in ports],
        # This alone: naming the distribution as well would turn the weights, and MD5, off again.
        behaviors={"ketama_weighted": True, "tcp_nodelay": True},
    )
    entries = {f"key-{number}": f"value-{number}" for number in range(count)}
    if action == "write":
        for key, value in entries.items():
            expect(client.set(key, value), True)
    else:
        expect(client.get_multi(list(entries)), entries)


if len(sys.argv) == 2:
    everything(sys.argv[1])
else:
    placed(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
