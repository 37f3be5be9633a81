"""The servers that are compared: how each is started, pinned, and ended by its pid."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import PROTOCOLS, SERVER_CORE, VALUE_BYTES, Failed
from .backends import as_nobody, memcached, redis, start_backends
from .process import free_port, spawn

HASH_TAG = "{}"
KEY_HASH = "murmur"  # fnv1a_64, the common one, puts all short tags in one place

# name: protocols it speaks here
SERVERS = {
    "floor": PROTOCOLS,
    "ringfort": PROTOCOLS,
    "memcached": ("memcache",),
    "redis": ("resp",),
    "ringfort-pool": PROTOCOLS,
    "ringfort-l1": PROTOCOLS,
    "ringfort-tracked": ("resp",),
    "ringfort-cluster": ("resp",),
    "ringfort-cluster-tracked": ("resp",),
    "ringfort-invalidate": PROTOCOLS,
    "ringfort-spool-none": PROTOCOLS,
    "ringfort-spool-interval": PROTOCOLS,
    "ringfort-spool-always": PROTOCOLS,
    "ringfort-behind": PROTOCOLS,
    "ringfort-behind-always": PROTOCOLS,
    "nutcracker": PROTOCOLS,
    "predixy": ("resp",),
    "predixy-cluster": ("resp",),
    "memcached-proxy": ("memcache",),
}
# Pools that answer writes before their backends have them: policy, --spool-sync if there is a spool.
LATER = {
    "ringfort-invalidate": ("invalidate", None),
    "ringfort-spool-none": ("invalidate", "none"),
    "ringfort-spool-interval": ("invalidate", "interval"),
    "ringfort-spool-always": ("invalidate", "always"),
    "ringfort-behind": ("behind", None),
    "ringfort-behind-always": ("behind", "always"),
}
CLUSTER_PROXIES = ("ringfort-cluster", "ringfort-cluster-tracked", "predixy-cluster")
PROXIES = ("ringfort-pool", "ringfort-l1", "ringfort-tracked", *LATER, *CLUSTER_PROXIES, "nutcracker",
           "predixy", "memcached-proxy")
# program: what installs it, who needs it
DEBIAN = {
    "memcached": ("apt install memcached", ("memcached", *PROXIES)),
    "redis-server": ("apt install redis-server", ("redis", *PROXIES)),
    "nutcracker": ("apt install nutcracker", ("nutcracker",)),
    "redis-cli": ("apt install redis-tools", CLUSTER_PROXIES),
    "taskset": ("apt install util-linux", tuple(SERVERS)),
}
# Not packaged by Debian: measured where a path is given.
GIVEN = {
    "predixy": "https://github.com/joyieldInc/predixy, `make`",
    "memcached-proxy": "memcached 1.6.23 or later, `./configure --enable-proxy && make`",
}

# Servers that are one of those under another configuration.
SAME_PROGRAM = {"predixy-cluster": "predixy"}


@dataclass(frozen=True)
class Programs:
    """Where what is started is found."""

    ours: Path  # the folder of cargo's release binaries
    given: dict[str, str]  # of GIVEN: path


@dataclass(frozen=True)
class Started:
    address: str
    pid: int
    generator_options: tuple
    backends: tuple  # (port, pid) of each


def start(running, name, protocol, load, scenario, programs, scratch):
    """Starts a server and its backends; `running` ends them."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    backends = ()
    if name in PROXIES:
        backends = start_backends(running, protocol, scenario, scratch)
    options = ("--prefill",)
    if name == "floor":
        request_bytes, reply_bytes = shape(programs, protocol, load)
        command = [programs.ours / "floor", "--listen", address, "--core", SERVER_CORE,
                   "--request-bytes", request_bytes, "--reply-bytes", reply_bytes]
        options = ("--reply-bytes", reply_bytes)
    else:
        ports = [port for port, _ in backends]
        command = COMMANDS[name](programs, protocol, port, ports, scratch)
    pid = spawn(running, command, SERVER_CORE, port, scratch)
    return Started(address, pid, options, backends)


def shape(programs, protocol, load):
    """Lengths of a request and its reply, from the generator itself. A mix is mostly reads."""
    op = "set" if load == "set" else "get"
    command = [programs.ours / "ringfort-bench", "shape", "--protocol", protocol,
               "--value-bytes", str(VALUE_BYTES)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in said.splitlines():
        name, _, request_bytes, _, reply_bytes = line.split()
        if name == op:
            return request_bytes, reply_bytes
    raise Failed(f"the generator does not tell the shape of {op}")


def ringfort(programs, protocol, port, _backends, _scratch):
    front = {"memcache": "off", "resp": "off", protocol: f"127.0.0.1:{port}"}
    return [programs.ours / "ringfort", "--cores", SERVER_CORE, "--memcache", front["memcache"],
            "--resp", front["resp"], "--memory", "256MiB"]


def ringfort_pool(programs, protocol, port, backends, scratch):
    # As nutcracker is told to place keys, so that both have the same of them on each backend.
    command = ringfort(programs, protocol, port, backends, scratch)
    command += ["--pool", protocol, "--hash-ring", "twemproxy", "--key-hash", KEY_HASH,
                "--hash-tag", HASH_TAG]
    for backend in backends:
        command += ["--server", f"127.0.0.1:{backend}"]
    return command


def ringfort_l1(programs, protocol, port, backends, scratch):
    return [*ringfort_pool(programs, protocol, port, backends, scratch), "--l1", "60s"]


def ringfort_tracked(programs, protocol, port, backends, scratch):
    return [*ringfort_pool(programs, protocol, port, backends, scratch), "--l1", "tracked"]


def ringfort_cluster(programs, protocol, port, backends, scratch):
    return [*ringfort(programs, protocol, port, backends, scratch), "--pool", "cluster",
            "--server", f"127.0.0.1:{backends[0]}"]


def ringfort_cluster_tracked(programs, protocol, port, backends, scratch):
    return [*ringfort_cluster(programs, protocol, port, backends, scratch), "--l1", "tracked"]


def ringfort_later(name):
    policy, sync = LATER[name]

    def command(programs, protocol, port, backends, scratch):
        words = [*ringfort_pool(programs, protocol, port, backends, scratch), "--write", policy]
        if sync:
            spool = tempfile.mkdtemp(prefix="spool-", dir=scratch)
            words += ["--spool", spool, "--spool-sync", sync]
        return words

    return command


def nutcracker(_programs, protocol, port, backends, scratch):
    config = scratch / "nutcracker.yml"
    servers = "".join(f"   - 127.0.0.1:{backend}:1\n" for backend in backends)
    config.write_text(
        f"pool:\n  listen: 127.0.0.1:{port}\n  hash: {KEY_HASH}\n  distribution: ketama\n"
        f"  hash_tag: \"{HASH_TAG}\"\n  redis: {'true' if protocol == 'resp' else 'false'}\n"
        f"  servers:\n{servers}"
    )
    return ["nutcracker", "-c", config, "-s", free_port(), "-o", scratch / "nutcracker.log"]


def predixy(programs, _protocol, port, backends, scratch):
    groups = "".join(
        f"    Group g{number} {{\n        + 127.0.0.1:{backend}\n    }}\n"
        for number, backend in enumerate(backends)
    )
    pool = (
        "StandaloneServerPool {\n    Databases 1\n    Hash crc16\n"
        f"    HashTag \"{HASH_TAG}\"\n    Distribution modula\n    RefreshMethod fixed\n{groups}}}\n"
    )
    return predixy_with(pool, programs, port, scratch)


def predixy_cluster(programs, _protocol, port, backends, scratch):
    seeds = "".join(f"        + 127.0.0.1:{backend}\n" for backend in backends)
    pool = f"ClusterServerPool {{\n    Servers {{\n{seeds}    }}\n}}\n"
    return predixy_with(pool, programs, port, scratch)


def predixy_with(pool, programs, port, scratch):
    config = scratch / "predixy.conf"
    config.write_text(
        f"Name predixy\nBind 127.0.0.1:{port}\nWorkerThreads 1\nClientTimeout 300\n"
        f"Authority {{\n    Auth {{\n        Mode admin\n    }}\n}}\n{pool}"
    )
    return [programs.given["predixy"], config]


def memcached_proxy(programs, _protocol, port, backends, scratch):
    config = scratch / "proxy.lua"
    listed = ", ".join(f'"127.0.0.1:{backend}"' for backend in backends)
    config.write_text(
        f'pools{{ all = {{ options = {{ filter = "tags", filter_conf = "{HASH_TAG}" }},'
        f" backends = {{ {listed} }} }} }}\n"
        'routes{ default = route_direct{ child = "all" } }\n'
    )
    return [programs.given["memcached-proxy"], "-l", "127.0.0.1", "-p", port, "-U", 0, "-t", 1,
            "-m", 64, "-c", 4096, "-o", f"proxy_config=routelib,proxy_arg={config}", *as_nobody()]


COMMANDS = {
    "ringfort": ringfort,
    "memcached": memcached,
    "redis": redis,
    "ringfort-pool": ringfort_pool,
    "ringfort-l1": ringfort_l1,
    "ringfort-tracked": ringfort_tracked,
    "ringfort-cluster": ringfort_cluster,
    "ringfort-cluster-tracked": ringfort_cluster_tracked,
    **{name: ringfort_later(name) for name in LATER},
    "nutcracker": nutcracker,
    "predixy": predixy,
    "predixy-cluster": predixy_cluster,
    "memcached-proxy": memcached_proxy,
}


def missing(servers):
    """What must be installed first, a line each."""
    lines = []
    for program, (install, users) in DEBIAN.items():
        needed_by = [name for name in servers if name in users]
        if needed_by and not shutil.which(program):
            lines.append(f"{program} is missing: {install} (or --without {','.join(needed_by)})")
    return lines
