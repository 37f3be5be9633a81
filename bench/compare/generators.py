"""Load generators that are run beside ours: how each is asked for the same load, and what it reports."""

import csv
import json
import os
import subprocess
from dataclasses import dataclass, replace

from . import Failed

# Both others write keys of so many digits, or can be told to: so all ask for the same keys, of 16 bytes.
FIRST_KEY = 100_000_000_000
SATURATED = 0.90  # of a core, with its start and end: whoever uses more has nothing to spare


@dataclass(frozen=True)
class Load:
    """What all generators are asked for."""

    protocol: str
    op: str  # get or set
    depth: int
    connections: int
    keys: int = 1000
    value_bytes: int = 64

    def __str__(self):
        return f"{self.op} depth {self.depth}, {self.connections} connections"


@dataclass(frozen=True)
class Report:
    """What one run of one generator said, and what it took."""

    requests: float
    requests_per_s: float
    mean_us: float
    p50_us: float
    p99_us: float
    generator_utilisation: float = 0.0
    server_cpu_ns: float = 0.0
    server_utilisation: float = 0.0  # of its busiest thread, as the next
    server_waiting: float = 0.0  # share of the time ready to run while something else had its core


def ours(path, address, load, core, seconds, report):
    host_and_port = f"{address[0]}:{address[1]}"
    return [path, "run", "--target", host_and_port, "--protocol", load.protocol,
            "--connections", load.connections, "--depth", load.depth, "--keys", load.keys,
            "--value-bytes", load.value_bytes, "--read-ratio", 1 if load.op == "get" else 0,
            "--duration", f"{seconds * 1000:.0f}ms", "--warmup", "0s", "--core", core, "--json", report]


def read_ours(_, report):
    told = json.loads(report.read_text())
    if told["errors"] or told["misses"]:
        raise Failed(f"ringfort-bench: {told['errors']} errors, {told['misses']} misses")
    return Report(told["requests"], told["requests_per_s"], told["mean_us"], told["p50_us"],
                  told["p99_us"])


def redis_benchmark(path, address, load, _core, requests, _report):
    return [path, "-h", address[0], "-p", address[1], "-c", load.connections, "-P", load.depth, "-n", requests,
            "-r", load.keys, "-d", load.value_bytes, "-t", load.op, "--csv", "--precision", 3]


def read_redis_benchmark(said, _):
    rows = [row for row in csv.reader(said.splitlines()) if len(row) == 8]
    if len(rows) != 2:
        raise Failed(f"redis-benchmark says no numbers: {said.strip()[:100]}")
    told = dict(zip(rows[0], rows[1]))
    ms = {name: float(told[f"{name}_latency_ms"]) for name in ("avg", "p50", "p99")}
    return Report(0, float(told["rps"]), ms["avg"] * 1000, ms["p50"] * 1000, ms["p99"] * 1000)


def memtier(path, address, load, _core, seconds, report):
    protocol = {"resp": "redis", "memcache": "memcache_text"}[load.protocol]
    return [path, "-s", address[0], "-p", address[1], "-P", protocol, "-t", 1, "-c", load.connections,
            "--pipeline", load.depth, "--ratio", "0:1" if load.op == "get" else "1:0", "-d", load.value_bytes,
            "--key-prefix", "key:", "--key-minimum", FIRST_KEY, "--key-maximum", FIRST_KEY + load.keys - 1,
            "--test-time", max(1, round(seconds)), "--hide-histogram", "--json-out-file", report]


def read_memtier(_, report):
    told = json.loads(report.read_text())["ALL STATS"]
    # One of the two was asked for.
    kind = max((told["Gets"], told["Sets"]), key=lambda stats: stats["Count"])
    if kind.get("Misses/sec", 0) > 0:
        raise Failed(f"memtier: {kind['Misses/sec']:.0f} misses a second")
    percentiles = kind["Percentile Latencies"]
    return Report(kind["Count"], kind["Ops/sec"], kind["Average Latency"] * 1000, percentiles["p50.00"] * 1000,
                  percentiles["p99.00"] * 1000)


def memtier_fill(path, address, load, report):
    """One SET of each of the keys that it asks for."""
    command = memtier(path, address, load, 0, 0, report)
    command[command.index("--ratio") + 1] = "1:0"
    command[command.index("-c") + 1] = 1
    at = command.index("--test-time")
    command[at:at + 2] = ["--requests", load.keys, "--key-pattern", "S:S"]
    return command


def call(command):
    """Runs what is not measured."""
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ran.returncode:
        raise Failed(f"{command[0]}: {(ran.stderr.strip().splitlines() or ['it says nothing'])[-1]}")


def run(command, core, server_pid, read, report, requests=None):
    """Runs a generator on a core; what it cost itself and the server is read from the scheduler."""
    command = [str(word) for word in ["taskset", "-c", core, *command]]
    report.unlink(missing_ok=True)
    before, before_s = scheduled(server_pid), children_s()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    try:
        said, complaint = child.communicate()
    except BaseException:
        child.kill()
        child.wait()
        raise
    after = scheduled(server_pid)
    if child.returncode:
        raise Failed(f"{command[3]}: {(complaint.strip().splitlines() or ['it says nothing'])[-1]}")
    told = read(said, report)
    count = requests or told.requests
    spent = [(run_ns - before.get(task, (0, 0))[0], wait_ns - before.get(task, (0, 0))[1])
             for task, (run_ns, wait_ns) in after.items()]
    busiest_ns, waited_ns = max(spent)
    if not told.requests_per_s:
        raise Failed(f"{command[3]} made no requests")
    # By the clock a generator may sit idle before its end: memtier does, for up to a second.
    seconds = count / told.requests_per_s
    return replace(told, requests=count, generator_utilisation=(children_s() - before_s) / seconds,
                   server_cpu_ns=sum(run_ns for run_ns, _ in spent) / count,
                   server_utilisation=busiest_ns / 1e9 / seconds, server_waiting=waited_ns / 1e9 / seconds)


def scheduled(pid):
    """What each thread of a process has run, and waited for a core, ns."""
    times = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            run_ns, wait_ns, _ = file.read().split()
        times[task] = int(run_ns), int(wait_ns)
    return times


def children_s():
    """CPU time of children that have ended."""
    times = os.times()
    return times.children_user + times.children_system
