"""The real servers behind proxies, and beside them: memcached, Redis, a Redis Cluster."""

import subprocess
import tempfile
import time

from . import GENERATOR_CORE, Failed
from .launch import Launch
from .process import START_SECONDS_MAX, free_port, spawn
from .rivals import memcached, redis


def start_backends(running, protocol, scenario, programs, scratch):
    """Starts what a proxy of the scenario has behind it: (port, pid) of each."""
    def launch():
        return Launch(programs, protocol, free_port(), scratch, cores=(GENERATOR_CORE,))

    if scenario.is_cluster:
        return start_cluster(running, [launch() for _ in range(scenario.backends)])
    command = memcached if protocol == "memcache" else redis
    launches = [launch() for _ in range(scenario.backends)]
    return tuple(start_backend(running, command(one), one) for one in launches)


def start_backend(running, command, launch):
    return launch.port, spawn(running, command, GENERATOR_CORE, launch.port, launch.scratch)


def start_cluster(running, launches):
    """As many masters, which share the slots; none has a replica."""
    nodes = []
    for launch in launches:
        folder = tempfile.mkdtemp(prefix="node-", dir=launch.scratch)
        command = [*redis(launch), "--cluster-enabled", "yes", "--dir", folder,
                   "--cluster-port", free_port()]
        nodes.append(start_backend(running, command, launch))
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
