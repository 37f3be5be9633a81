"""What a host with many cores should do, from what one core was measured to do.

A shard's core does one request after the other, so N of them do N times as many, as long as

* each has its part of the connections: the kernel spreads them by a hash, so the fullest shard is full while others
  are not yet. How much that leaves is simulated, with as many connections as there are.
* writes find their owner: (N-1)/N of them hop to another shard and back, which was measured with two.
* the network carries it: the bytes of requests and replies with their headers, each way by itself.

What binds first is the least of the three. Memory does not: a look-up reads four lines of it.
"""

import csv
import math
import random
import statistics
from dataclasses import dataclass

# A request of a key of 16 bytes and its reply, in memcache's words, for a value of so many bytes more.
REQUEST_BYTES = {"get": 22, "set": 31}
REPLY_BYTES = {"get": 36, "set": 8}
SEGMENT_BYTES = 1448  # of TCP, with time stamps
HEADER_BYTES = 90  # Ethernet with preamble and gap, IPv4, TCP with time stamps
LINES_READ = 4  # of 64 bytes, of memory, by a look-up that misses all caches: bucket, entry, two of the value

# CPU of a write of another shard's key, beyond one of its own, in ns: twice what the half of them added with two shards
# (tuning.md, Capacity). At depth 1 as measured now (bench/results/2026-11-28-epyc-two-shards); at depth 16 by message, as where
# all shards are awake (bench/results/2026-11-28-epyc-shards).
HOP_NS = {1: 3_500, 16: 460}


@dataclass(frozen=True)
class Kind:
    name: str
    server: str  # of the results
    load: str
    depth: int


KINDS = tuple(Kind(name, server, load, depth)
              for name, server, load in (("GET hit", "ringfort", "get"), ("SET", "ringfort", "set"),
                                         ("GET through a pool", "ringfort-pool", "get"))
              for depth in (1, 16))


def costs(raw_path, protocol="memcache"):
    """(server, load, depth): CPU ns of a request with one shard, the median of all rounds."""
    found = {}
    with raw_path.open(newline="") as file:
        for row in csv.DictReader(file):
            place = row["server"], row.get("load") or row["op"], int(row["depth"])
            is_usual = row.get("value_bytes", "64") == "64" and row.get("keys", "1000") == "1000"
            has_one_shard = row.get("scenario") != "shards"
            if row["protocol"] == protocol and is_usual and has_one_shard and row.get("connections", "50") == "50":
                found.setdefault(place, []).append(float(row["server_cpu_ns_per_request"]))
    return {place: statistics.median(values) for place, values in found.items()}


def cpu_ns(cost_ns, kind, shards):
    """Of a request, hops included."""
    hop_ns = HOP_NS[kind.depth] if kind.load == "set" else 0
    return cost_ns + hop_ns * (shards - 1) / shards


def wire_bytes(kind, value_bytes):
    """Of a request, on the way that has more of them; what is sent at once shares its headers."""
    ways = (REQUEST_BYTES[kind.load] + (value_bytes if kind.load == "set" else 0),
            REPLY_BYTES[kind.load] + (value_bytes if kind.load == "get" else 0))
    return max(payload + HEADER_BYTES * math.ceil(kind.depth * payload / SEGMENT_BYTES) / kind.depth
               for payload in ways)


def usable_share(connections, shards, rounds=200, seed=1):
    """Of all cores together, once the one with the most connections is full; the mean of so many spreads."""
    draw = random.Random(seed)
    shares = []
    for _ in range(rounds):
        counts = [0] * shards
        for _ in range(connections):
            counts[draw.randrange(shards)] += 1
        shares.append(connections / shards / max(counts))
    return statistics.mean(shares)


@dataclass(frozen=True)
class Answer:
    by_cpu: float  # requests a second, if connections were spread evenly
    by_spread: float
    by_link: float

    @property
    def rate(self):
        return min(self.by_spread, self.by_link)

    def binds(self):
        if self.by_link < self.by_spread:
            return "link"
        return "spread" if self.by_spread < 0.8 * self.by_cpu else "cores"

    def memory_bytes_per_s(self):
        return self.rate * LINES_READ * 64


def answer(cost_ns, kind, cores, connections, link_gbit, value_bytes, share=None):
    by_cpu = cores * 1e9 / cpu_ns(cost_ns, kind, cores)
    share = usable_share(connections, cores) if share is None else share
    return Answer(by_cpu, by_cpu * share, link_gbit * 1e9 / 8 / wire_bytes(kind, value_bytes))
