"""pymemcache against a memcache server: with_pymemcache.py PORT. Ends with an error on a wrong answer."""

import sys

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError

client = Client(("127.0.0.1", int(sys.argv[1])), timeout=30, default_noreply=False)


def expect(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


expect(client.flush_all(), True)
expect(bool(client.version()), True)
expect(client.get("a"), None)
expect(client.set("a", b"\x00\r\nEND\r\n\xff"), True)
expect(client.get("a"), b"\x00\r\nEND\r\n\xff")
expect(client.add("a", "x"), False)
expect(client.add("b", "x"), True)
expect(client.replace("b", "y"), True)
expect(client.replace("none", "y"), False)
expect(client.append("b", ">"), True)
expect(client.prepend("b", "<"), True)
expect(client.get("b"), b"<y>")

value, unique = client.gets("b")
expect(client.cas("b", "swapped", unique), True)
expect(client.cas("b", "again", unique), False)
expect(client.cas("none", "again", unique), None)
expect(client.get("b"), b"swapped")

expect(client.set_many({f"m{number}": str(number) for number in range(500)}), [])
expect(
    client.get_many([f"m{number}" for number in range(600)]),
    {f"m{number}": str(number).encode() for number in range(500)},
)
expect(len(client.gets_many(["m1", "m2", "none"])), 2)
expect(client.delete_many(["m1", "m2"]), True)
expect(client.get_many(["m1", "m2"]), {})

expect(client.incr("n", 1), None)
expect(client.set("n", "10"), True)
expect(client.incr("n", 5), 15)
expect(client.decr("n", 20), 0)
expect(client.touch("n", 100), True)
expect(client.touch("none", 100), False)
expect(client.set("n", "x", expire=-1), True)
expect(client.get("n"), None)
expect(client.delete("b"), True)
expect(client.delete("b"), False)

# Without replies.
for number in range(100):
    client.set("quiet", str(number), noreply=True)
    client.delete(f"m{number}", noreply=True)
expect(client.get("quiet"), b"99")
expect(client.get("m50"), None)

# Refusals.
try:
    client.incr("quiet", "x")
    raise AssertionError("a delta that is no number was taken")
except MemcacheClientError:
    pass
try:
    client.set("large", b"x" * (1024 * 1024 + 1))
    raise AssertionError("a value over the limit was taken")
except MemcacheServerError:
    pass
expect(client.get("large"), None)
large = bytes(range(256)) * 3000
expect(client.set("large", large), True)
expect(client.get("large"), large)
expect(b"pid" in client.stats(), True)
expect(client.flush_all(), True)
expect(client.get("large"), None)
client.quit()
