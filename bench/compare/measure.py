"""Rounds of measurements: every point of every server, each started afresh."""

import contextlib
import csv
import json
import subprocess
from dataclasses import replace

from . import Failed, fills, paused
from .servers import PROXIES, RIVALS, SERVERS, can_measure, start

DISTURBED = 0.10  # share of time ready to run but off the core; above, something else ran there
TRIES = 3  # measurements before a disturbed one is kept
# How it is done, where one load after the other is not all of it.
KINDS = {"paused": paused.measure, "fills": fills.one_hop, "zipf": fills.three_peers}
PLACE = "scenario protocol load depth connections keys value_bytes server".split()
COLUMNS = (
    "scenario round protocol load depth connections keys value_bytes rate server requests_per_s"
    " server_cpu_ns_per_request owner_cpu_ns_per_request ratio_to_floor p50_us p99_us p999_us max_us server_utilisation"
    " generator_utilisation server_waiting generator_waiting requests hits misses stored unchecked errors wrong"
    " origin_per_1000 peer_per_1000 joined_per_1000 resident_mib"
).split()


def measure_all(options, scenarios, programs, scratch, raw_path):
    """All rounds; what is measured is in raw.csv at once, so an interrupted run is not lost."""
    rows, failures = [], []
    with raw_path.open("w", newline="") as raw_file:
        raw = csv.DictWriter(raw_file, COLUMNS)
        raw.writeheader()
        for round_number in range(1, options.rounds + 1):
            for scenario in scenarios:
                for row in round_of(options, scenario, programs, scratch, failures):
                    row = {**row, "scenario": scenario.name, "round": round_number}
                    rows.append(row)
                    raw.writerow({column: row.get(column, "") for column in COLUMNS})
                    raw_file.flush()
                    print(told(row), flush=True)
    return rows, failures


def told(row):
    size = f"{row['connections']} conns, {row['keys']} keys, {row['value_bytes']} B"
    return (f"round {row['round']}: {row['scenario']:6} {row['protocol']:8} {row['load']:8} "
            f"depth {row['depth']:2} {size} {row['server']:15} {row['requests_per_s']:>10,.0f}/s "
            f"{row['server_cpu_ns_per_request']:>7,.0f} ns  p99 {row['p99_us']:>9,.0f} µs")


def round_of(options, scenario, programs, scratch, failures):
    """One measurement of each point, the servers one after the other; then at a share of what the best rival did."""
    for point in scenario.points():
        best = 0
        for row in servers_at(options, scenario, point, programs, scratch, failures):
            if row["server"] in RIVALS:
                best = max(best, row["requests_per_s"])
            yield row
        has_rival = any(name in RIVALS and point.protocol in SERVERS[name] for name in scenario.servers)
        if not scenario.open_share or not has_rival:
            continue
        if not best:
            failures.append(f"{scenario.name}: {told_point(point)}: no rival's rate is known")
            continue
        paced = replace(point, rate=round(best * scenario.open_share))
        yield from servers_at(options, scenario, paced, programs, scratch, failures)


def servers_at(options, scenario, point, programs, scratch, failures):
    one = KINDS.get(scenario.kind, measure)
    floor_cpu_ns = None
    for name in scenario.servers:
        if not can_measure(name, point):
            continue
        try:
            row = one(options, scenario, name, point, programs, scratch)
        except Failed as failure:
            failures.append(f"{scenario.name}: {name} {told_point(point)}: {failure}")
            print(f"compare: {failures[-1]}", flush=True)
            continue
        cpu_ns = row["server_cpu_ns_per_request"]
        floor_cpu_ns = cpu_ns if name == "floor" else floor_cpu_ns
        yield {**row, **placed(point), "server": name,
               "ratio_to_floor": cpu_ns / floor_cpu_ns if floor_cpu_ns else ""}


def placed(point):
    """The columns that tell a point from others."""
    names = ("protocol", "load", "depth", "connections", "keys", "value_bytes")
    return {**dict(zip(names, point.place)), "rate": point.rate or ""}


def told_point(point):
    protocol, load, depth, connections, keys, value_bytes = point.place
    return f"{protocol} {load} depth {depth}, {connections} connections, {keys} keys, {value_bytes} bytes"


def measure(options, scenario, name, point, programs, scratch):
    """One point of one server; again while something else had a core."""
    for _ in range(TRIES):
        with contextlib.ExitStack() as running:
            server = start(running, name, point, scenario, programs, scratch)
            row = generate(options, scenario, name, point, server, programs, scratch)
        waiting = row["server_waiting"]
        if name not in PROXIES:
            waiting = max(waiting, row["generator_waiting"])
        if waiting <= DISTURBED:
            break
    return row


def generate(options, scenario, name, point, server, programs, scratch, more=()):
    """Puts load on a server that runs, and gives what the generator reports."""
    # The floor tells requests apart by their length alone, so it gets one kind: reads for a mix.
    read_ratio = round(point.load.read_ratio) if name == "floor" else point.load.read_ratio
    words = [
        "--connections", point.connections, "--depth", point.depth, "--read-ratio", read_ratio,
        "--duration", f"{options.seconds * 1000:.0f}ms", "--warmup", "500ms",
        "--core", scenario.generator_core, "--label", name, *server.generator_options, *point.load.options, *more,
    ]
    if point.rate:
        words += ["--rate", point.rate, "--burst", point.depth]
    return run_generator(programs, point, server, scratch / "report.json", words)


def run_generator(programs, point, server, report, words):
    """Puts a load on a server, which these options tell, and gives what the generator reports."""
    report.unlink(missing_ok=True)
    command = [
        programs.ours / "ringfort-bench", "run", "--target", server.address, "--protocol", point.protocol,
        "--keys", point.keys, "--value-bytes", point.value_bytes, "--server-pid", server.pid, "--json", report, *words,
    ]
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ran.returncode:
        said = ran.stderr.strip().splitlines() or [f"the generator ended with {ran.returncode}"]
        raise Failed(said[-1])
    row = json.loads(report.read_text())
    if row["errors"] or row["misses"]:
        raise Failed(f"{row['errors']} errors, {row['misses']} misses: {row['warnings']}")
    return row
