"""Rounds of measurements: every point of every server, each started afresh."""

import contextlib
import csv
import json
import subprocess

from . import CONNECTIONS, GENERATOR_CORE, KEYS, PROTOCOLS, VALUE_BYTES, Failed
from . import paused
from .servers import PROXIES, SERVERS, start

DISTURBED = 0.10  # share of time ready to run but off the core; above, something else ran there
TRIES = 3  # measurements before a disturbed one is kept
COLUMNS = (
    "scenario round protocol load depth server requests_per_s server_cpu_ns_per_request ratio_to_floor"
    " p50_us p99_us p999_us max_us server_utilisation generator_utilisation server_waiting"
    " generator_waiting requests hits misses stored unchecked errors wrong"
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
                    raw.writerow({column: row[column] for column in COLUMNS})
                    raw_file.flush()
                    print(told(row), flush=True)
    return rows, failures


def told(row):
    return (f"round {row['round']}: {row['scenario']:6} {row['protocol']:8} {row['load']:8} "
            f"depth {row['depth']:2} {row['server']:15} {row['requests_per_s']:>10,.0f}/s "
            f"{row['server_cpu_ns_per_request']:>7,.0f} ns  p99 {row['p99_us']:>9,.0f} µs")


def round_of(options, scenario, programs, scratch, failures):
    """One measurement of each point, the servers one after the other."""
    one = paused.measure if scenario.kind == "paused" else measure
    loads = paused.LOADS if scenario.kind == "paused" else scenario.loads
    spoken = {p for name in scenario.servers if name != "floor" for p in SERVERS[name]}
    protocols = [p for p in PROTOCOLS if p in spoken]
    points = [(p, load, depth) for p in protocols for load in loads for depth in scenario.depths]
    for protocol, load, depth in points:
        floor_cpu_ns = None
        for name in scenario.servers:
            if protocol not in SERVERS[name]:
                continue
            point = (protocol, load, depth)
            try:
                row = one(options, scenario, name, point, programs, scratch)
            except Failed as failure:
                failures.append(f"{scenario.name}: {name} {protocol} {load} depth {depth}: {failure}")
                print(f"compare: {failures[-1]}", flush=True)
                continue
            cpu_ns = row["server_cpu_ns_per_request"]
            floor_cpu_ns = cpu_ns if name == "floor" else floor_cpu_ns
            yield {**row, "load": load, "server": name,
                   "ratio_to_floor": cpu_ns / floor_cpu_ns if floor_cpu_ns else ""}


def measure(options, scenario, name, point, programs, scratch):
    """One point of one server; again while something else had a core."""
    protocol, load, _ = point
    # The floor tells requests apart by their length alone, so it gets one kind: reads for a mix.
    read_ratio = round(scenario.loads[load]) if name == "floor" else scenario.loads[load]
    for _ in range(TRIES):
        with contextlib.ExitStack() as running:
            server = start(running, name, protocol, load, scenario, programs, scratch)
            row = generate(options, name, point, read_ratio, server, programs, scratch)
        waiting = row["server_waiting"]
        if name not in PROXIES:
            waiting = max(waiting, row["generator_waiting"])
        if waiting <= DISTURBED:
            break
    return row


def generate(options, name, point, read_ratio, server, programs, scratch, more=()):
    """Puts load on a server that runs, and gives what the generator reports."""
    protocol, _, depth = point
    report = scratch / "report.json"
    report.unlink(missing_ok=True)
    command = [
        programs.ours / "ringfort-bench", "run", "--target", server.address, "--protocol", protocol,
        "--connections", CONNECTIONS, "--depth", depth, "--keys", KEYS,
        "--value-bytes", VALUE_BYTES, "--read-ratio", read_ratio,
        "--duration", f"{options.seconds * 1000:.0f}ms", "--warmup", "500ms",
        "--server-pid", server.pid, "--core", GENERATOR_CORE, "--label", name,
        "--json", report, *server.generator_options, *more,
    ]
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ran.returncode:
        raise Failed(ran.stderr.strip() or f"the generator ended with {ran.returncode}")
    row = json.loads(report.read_text())
    if row["errors"] or row["misses"]:
        raise Failed(f"{row['errors']} errors, {row['misses']} misses: {row['warnings']}")
    return row
