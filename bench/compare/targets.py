"""What ringfort is to reach, each judged where both sides were measured."""

from . import CONNECTIONS, KEYS, PROTOCOLS, VALUE_BYTES
from .servers import RIVALS, SERVERS

# As many times the floor as a hit and a write may cost, by depth; depth 1 differs by more than that from run to run.
FLOOR_SHARES_MAX = {"get": {1: 1.10, 16: 1.2, 64: 1.4}, "set": {1: 1.10, 16: 1.5}}
# As many times the floor as a request that goes through to a backend may cost, by depth.
POOL_FLOOR_SHARE_MAX = {1: 1.17, 16: 1.9}
# As many times one shard's CPU as a request may cost with two, of which half of the writes go to the other one.
SHARDS_SHARE_MAX = {"get": 1.05, "set": 1.3}
GROUP_SHARE_MAX = 1.05  # of a hit without a group
PAUSED_P99_SHARE_MAX = 1.5  # of the p99 with all backends well: more is no noise of two cores


class Judge:
    """PASS, FAIL or, where a side was not measured, SKIP for each target."""

    def __init__(self, medians):
        self.medians = medians
        self.verdicts = []

    def value(self, column, scenario, protocol, load, depth, server):
        """The median, of the connections, keys and values that most scenarios have."""
        row = self.medians.get((scenario, protocol, load, depth, CONNECTIONS, KEYS, VALUE_BYTES, server))
        return row and row[column] and row[column][0]

    def at_most(self, text, ours, bound, unit):
        if not ours or not bound:
            self.verdicts.append(("SKIP", text))
            return
        verdict = "PASS" if ours <= bound else "FAIL"
        self.verdicts.append((verdict, f"{text} ({ours:,.{unit[1]}f}{unit[0]}, "
                                       f"bound {bound:,.{unit[1]}f}{unit[0]})"))


NANOSECONDS, MICROSECONDS, TIMES = (" ns", 0), (" µs", 0), ("", 2)


def verdicts(scenarios, medians):
    judge = Judge(medians)
    names = {scenario.name for scenario in scenarios}
    for name, judged in (("hits", hits), ("shards", shards), ("pool", pool), ("paused", paused), ("rate", rate),
                         ("group", group)):
        if name in names:
            for protocol in PROTOCOLS:
                judged(judge, protocol)
    return judge.verdicts


def hits(judge, protocol):
    for load, what in (("get", "GET hit"), ("set", "SET")):
        for depth, share in FLOOR_SHARES_MAX[load].items():
            judge.at_most(f"{protocol} {what}, depth {depth}: within {share:.2f} of the floor",
                          judge.value("ratio_to_floor", "hits", protocol, load, depth, "ringfort"), share, TIMES)
    for depth in (16, 64):
        judge.at_most(f"{protocol} GET hit, depth {depth}: cheaper than redis-server's",
                      cpu_ns(judge, "hits", protocol, depth, "ringfort"),
                      cpu_ns(judge, "hits", "resp", depth, "redis"), NANOSECONDS)


def shards(judge, protocol):
    for load, share in SHARDS_SHARE_MAX.items():
        for depth in (1, 16):
            one_ns = cpu_ns(judge, "hits", protocol, depth, "ringfort", load)
            judge.at_most(f"{protocol} {load.upper()} with two shards, depth {depth}: within {share:.2f} of one's",
                          cpu_ns(judge, "shards", protocol, depth, "ringfort", load),
                          one_ns and one_ns * share, NANOSECONDS)


def pool(judge, protocol):
    for depth, share in POOL_FLOOR_SHARE_MAX.items():
        judge.at_most(f"{protocol} pool GET, depth {depth}: within {share} of the floor",
                      judge.value("ratio_to_floor", "pool", protocol, "get", depth, "ringfort-pool"),
                      share, TIMES)
    for depth, cheaper, share in ((1, "1/3", 2 / 3), (16, "2/3", 1 / 3)):
        rival_ns = cpu_ns(judge, "pool", protocol, depth, "nutcracker")
        judge.at_most(f"{protocol} pool GET, depth {depth}: cheaper than nutcracker by {cheaper}",
                      cpu_ns(judge, "pool", protocol, depth, "ringfort-pool"),
                      rival_ns and rival_ns * share, NANOSECONDS)
    for rival in ("nutcracker", "predixy", "memcached-proxy"):
        if protocol in SERVERS[rival]:
            for depth in (1, 16):
                place = ("pool", protocol, "get", depth)
                judge.at_most(f"{protocol} pool GET, depth {depth}: p99 below {rival}'s",
                              judge.value("p99_us", *place, "ringfort-pool"),
                              judge.value("p99_us", *place, rival), MICROSECONDS)


def paused(judge, protocol):
    well, hanging = (judge.value("p99_us", "paused", protocol, load, 1, "ringfort-pool")
                     for load in ("well", "paused"))
    judge.at_most(f"{protocol}, one of three backends paused: p99 of the others' keys as before",
                  hanging, well and well * PAUSED_P99_SHARE_MAX, MICROSECONDS)


def rate(judge, protocol):
    for depth in (1, 16):
        place = ("rate", protocol, "get@rate", depth)
        known = [p999 for rival in RIVALS if (p999 := judge.value("p999_us", *place, rival))]
        for name in ("ringfort", "ringfort-spin"):
            judge.at_most(f"{protocol} GET at 70 % of the best rival's rate, depth {depth}: p99.9 of {name} below "
                          "every rival's", judge.value("p999_us", *place, name), min(known, default=None), MICROSECONDS)


def group(judge, protocol):
    for depth in (1, 16):
        alone_ns = cpu_ns(judge, "group", protocol, depth, "ringfort")
        judge.at_most(f"{protocol} GET hit of a group, depth {depth}: within {GROUP_SHARE_MAX:.2f} of one without",
                      cpu_ns(judge, "group", protocol, depth, "ringfort-group"),
                      alone_ns and alone_ns * GROUP_SHARE_MAX, NANOSECONDS)


def cpu_ns(judge, scenario, protocol, depth, server, load="get"):
    return judge.value("server_cpu_ns_per_request", scenario, protocol, load, depth, server)
