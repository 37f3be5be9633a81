"""The real servers behind proxies, and beside them: memcached, Redis, a Redis Cluster."""

import os
import subprocess
import tempfile
import time

from . import GENERATOR_CORE, Failed
from .process import START_SECONDS_MAX, free_port, spawn


def start_backends(running, protocol, scenario, scratch):
    """Starts what a proxy of the scenario has behind it: (port, pid) of each."""
    if scenario.is_cluster:
        return start_cluster(running, scenario.backends, scratch)
    command = memcached if protocol == "memcache" else redis
    return tuple(
        start_backend(running, command(None, None, port, (), None), port, scratch)
        for port in (free_port() for _ in range(scenario.backends))
    )


def start_backend(running, command, port, scratch):
    return port, spawn(running, command, GENERATOR_CORE, port, scratch)


def start_cluster(running, count, scratch):
    """As many masters, which share the slots; none has a replica."""
    nodes = []
    for _ in range(count):
        port = free_port()
        folder = tempfile.mkdtemp(prefix="node-", dir=scratch)
        command = [*redis(None, None, port, (), None), "--cluster-enabled", "yes", "--dir", folder,
                   "--cluster-port", free_port()]
        nodes.append(start_backend(running, command, port, scratch))
    addresses = [f"127.0.0.1:{port}" for port, _ in nodes]
    ask(nodes[0][0], "--cluster", "create", *addresses, "--cluster-yes", is_about_cluster=True)
    deadline = time.monotonic() + START_SECONDS_MAX
    while not all("cluster_state:ok" in ask(port, "CLUSTER", "INFO") for port, _ in nodes):
        if time.monotonic() > deadline:
            raise Failed("the nodes do not become a cluster")
        time.sleep(0.1)
    return tuple(nodes)


def ask(port, *words, is_about_cluster=False):
    """What redis-cli says."""
    to = [] if is_about_cluster else ["-p", str(port)]
    ran = subprocess.run(["redis-cli", *to, *words], capture_output=True, text=True)
    if ran.returncode:
        raise Failed(f"redis-cli {' '.join(words)}: {(ran.stdout + ran.stderr).strip()}")
    return ran.stdout


def memcached(_programs, _protocol, port, _backends, _scratch):
    return ["memcached", "-l", "127.0.0.1", "-p", port, "-U", 0, "-t", 1, "-m", 256, "-c", 4096,
            *as_nobody()]


def as_nobody():
    """memcached refuses to run as root, but not as root told to become somebody else."""
    return ["-u", "nobody"] if os.geteuid() == 0 else []


def redis(_programs, _protocol, port, _backends, _scratch):
    return ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"]
