"""What a group costs that is asked for what it does not have: one hop to the owner of all keys, or peers that each own
a part of them."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

from . import GENERATOR_CORE, SERVER_CORE
from . import measure as measuring
from .launch import Peering
from .peers import Seen, start_origin, start_peer, urls

PEERS = 3
REQUESTS = 300_000  # of all clients together, and as many before
ORIGIN_DELAY_MS = 2
SUMS = ("requests", "hits", "misses", "stored", "unchecked", "errors", "wrong")


def one_hop(options, scenario, name, point, programs, scratch):
    """A peer that keeps nothing, measured, and the owner behind it; again while something else had its core."""
    for _ in range(measuring.TRIES):
        with contextlib.ExitStack() as running:
            origin = start_origin(running, point, programs, scratch)
            asker_url, *owners = urls(2)

            def start(url, core, keeps):
                peering = Peering(origin.port, url, owners, keeps)
                return start_peer(running, name, peering, core, scenario.memory_mib, programs, scratch)

            owner = start(owners[0], GENERATOR_CORE, keeps=True)
            asker = start(asker_url, SERVER_CORE, keeps=False)
            if point.load.name == "warm":
                read_all(owner, point, programs, scratch)
            before = Seen.of([asker, owner], origin)
            row = measuring.generate(options, scenario, name, point, asker, programs, scratch)
            seen = Seen.of([asker, owner], origin) - before
        if row["server_waiting"] <= measuring.DISTURBED:
            break
    return {**row, **seen.told(), "owner_cpu_ns_per_request": seen.cpu_ns[1] / seen.requests}


def read_all(peer, point, programs, scratch):
    """Every key once, so that the peer has it."""
    words = ["--connections", 1, "--depth", 64, "--popularity", "sequential", "--requests", point.keys,
             "--core", GENERATOR_CORE]
    measuring.run_generator(programs, point, peer, scratch / "read.json", words)


def three_peers(_options, scenario, name, point, programs, scratch):
    """Peers on the server's core, each asked for as much by a generator of its own: to be filled, then measured."""
    with contextlib.ExitStack() as running:
        origin = start_origin(running, point, programs, scratch, delay_ms=ORIGIN_DELAY_MS)
        owners = urls(PEERS)
        peers = [start_peer(running, name, Peering(origin.port, url, owners), SERVER_CORE, scenario.memory_mib,
                            programs, scratch)
                 for url in owners]

        def ask(seed):
            words = ["--connections", point.connections // PEERS, "--depth", point.depth, "--seed", seed,
                     "--requests", REQUESTS // PEERS, "--core", GENERATOR_CORE, *point.load.options]
            return measuring.run_generator(programs, point, peers[seed % PEERS], scratch / f"{seed}.json", words)

        with ThreadPoolExecutor(PEERS) as crew:
            list(crew.map(ask, range(PEERS)))
            before = Seen.of(peers, origin)
            began = time.monotonic()
            rows = list(crew.map(ask, range(PEERS, 2 * PEERS)))
            seconds = time.monotonic() - began
        seen = Seen.of(peers, origin) - before
        resident_mib = sum(peer.resident_mib() for peer in peers)
    # Percentiles cannot be added: the worst third of the clients tells them. Nobody has a core alone, so that somebody
    # waited for one, and that it was all used, is no doubt.
    worst = max(rows, key=lambda row: row["p99_us"])
    return {**worst, **{column: sum(row[column] for row in rows) for column in SUMS}, **seen.told(),
            "requests_per_s": seen.requests / seconds, "server_cpu_ns_per_request": sum(seen.cpu_ns) / seen.requests,
            "resident_mib": resident_mib, "server_waiting": "", "generator_waiting": "", "server_utilisation": "",
            "warnings": []}
