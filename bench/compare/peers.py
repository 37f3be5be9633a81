"""Caches that load what they miss: the origin behind them, peers that share keys, and what all of them have counted."""

import json
import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from . import GENERATOR_CORE, ours, rivals
from .launch import Launch, Peering
from .process import free_port, spawn
from .wire import QUESTIONS, ask

COMMANDS = {**ours.COMMANDS, **rivals.COMMANDS}
# Small segments: of those for items of 2 MiB a small memory has half a dozen.
ITEM_KIB_MAX = 64
COUNTED = ("Gets", "ServerRequests", "Loads", "LoadsDeduped")


@dataclass(frozen=True)
class Origin:
    port: int

    def asked(self):
        """Requests for keys so far."""
        return int(fetch(f"http://127.0.0.1:{self.port}/"))


@dataclass(frozen=True)
class Peer:
    name: str  # of the server
    address: str  # where clients ask
    url: str  # where peers do
    pid: int
    generator_options: tuple = ()

    def counters(self):
        """What it counts, in groupcache's names."""
        if self.name == "groupcache":
            return json.loads(fetch(f"{self.url}/stats"))
        lines = ask(self.address, b"stats groups\r\n", b"END\r\n").decode().splitlines()
        return {name: int(value) for _, name, value in map(str.split, lines[:-1])}

    def cpu_ns(self):
        """Of all its threads since its start, as the scheduler counts it."""
        accounts = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(account.read_text().split()[0]) for account in accounts)

    def resident_mib(self):
        """Memory that it has, without the pages of its program's file."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)[1]) / 1024


@dataclass(frozen=True)
class Seen:
    """What peers and their origin have done so far, and the CPU of each peer; of all requests, warm-ups included."""

    counters: dict[str, int]
    cpu_ns: tuple[int, ...]
    origin: int

    @classmethod
    def of(cls, peers, origin):
        counters = [peer.counters() for peer in peers]
        sums = {name: sum(one[name] for one in counters) for name in COUNTED}
        return cls(sums, tuple(peer.cpu_ns() for peer in peers), origin.asked())

    def __sub__(self, before):
        counters = {name: count - before.counters[name] for name, count in self.counters.items()}
        cpu_ns = tuple(late - early for late, early in zip(self.cpu_ns, before.cpu_ns))
        return Seen(counters, cpu_ns, self.origin - before.origin)

    @property
    def requests(self):
        """Of clients: peers' requests are Gets, too."""
        return self.counters["Gets"] - self.counters["ServerRequests"]

    def told(self):
        """For each 1,000 requests of clients."""
        joined = self.counters["Loads"] - self.counters["LoadsDeduped"]
        counts = {"origin": self.origin, "peer": self.counters["ServerRequests"], "joined": joined}
        return {f"{name}_per_1000": 1000 * count / self.requests for name, count in counts.items()}


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def start_origin(running, point, programs, scratch, delay_ms=0, max_age_s=None):
    """On the generator's core; `running` ends it."""
    port = free_port()
    command = [programs.ours / "ringfort-bench", "origin", "--listen", f"127.0.0.1:{port}",
               "--value-bytes", point.value_bytes, "--delay", f"{delay_ms}ms"]
    if max_age_s is not None:
        command += ["--max-age", max_age_s]
    spawn(running, command, GENERATOR_CORE, port, scratch)
    return Origin(port)


def urls(count):
    return tuple(f"http://127.0.0.1:{free_port()}" for _ in range(count))


def start_peer(running, name, peering, core, memory_mib, programs, scratch):
    """One that answers memcache clients, too."""
    port = free_port()
    launch = Launch(programs, "memcache", port, scratch, cores=(core,), memory_mib=memory_mib,
                    item_kib_max=ITEM_KIB_MAX, peering=peering)
    pid = spawn(running, COMMANDS[name](launch), core, port, scratch, QUESTIONS["memcache"])
    return Peer(name, f"127.0.0.1:{port}", peering.me, pid)
