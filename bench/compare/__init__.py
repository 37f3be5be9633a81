"""What scripts/compare is made of: scenarios, servers, measuring, reporting."""

SERVER_CORE, GENERATOR_CORE = 0, 1  # with one thread a server
CONNECTIONS, KEYS, VALUE_BYTES = 50, 1000, 64
PROTOCOLS = ("memcache", "resp")


class Failed(Exception):
    """Something that must work did not."""
