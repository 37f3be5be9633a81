"""The servers that are compared: how each is started, pinned, and ended by its pid."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import GENERATOR_CORE, PROTOCOLS, SERVER_CORE, VALUE_BYTES, Failed

START_SECONDS_MAX = 10  # a server that does not listen by then has failed
STOP_SECONDS_MAX = 5  # a server that has not ended by then is killed
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
    "ringfort-invalidate": PROTOCOLS,
    "ringfort-spool-none": PROTOCOLS,
    "ringfort-spool-interval": PROTOCOLS,
    "ringfort-spool-always": PROTOCOLS,
    "ringfort-behind": PROTOCOLS,
    "ringfort-behind-always": PROTOCOLS,
    "nutcracker": PROTOCOLS,
    "predixy": ("resp",),
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
PROXIES = ("ringfort-pool", "ringfort-l1", *LATER, "nutcracker", "predixy", "memcached-proxy")
# program: what installs it, who needs it
DEBIAN = {
    "memcached": ("apt install memcached", ("memcached", *PROXIES)),
    "redis-server": ("apt install redis-server", ("redis", *PROXIES)),
    "nutcracker": ("apt install nutcracker", ("nutcracker",)),
    "taskset": ("apt install util-linux", tuple(SERVERS)),
}
# Not packaged by Debian: measured where a path is given.
GIVEN = {
    "predixy": "https://github.com/joyieldInc/predixy, `make`",
    "memcached-proxy": "memcached 1.6.23 or later, `./configure --enable-proxy && make`",
}


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


def start(running, name, protocol, load, backend_count, programs, scratch):
    """Starts a server and its backends; `running` ends them."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    backends = ()
    if name in PROXIES:
        backends = tuple(
            start_backend(running, protocol, scratch) for _ in range(backend_count)
        )
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


def start_backend(running, protocol, scratch):
    port = free_port()
    command = COMMANDS["memcached" if protocol == "memcache" else "redis"](None, None, port, (), None)
    return port, spawn(running, command, GENERATOR_CORE, port, scratch)


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


def ringfort_later(name):
    policy, sync = LATER[name]

    def command(programs, protocol, port, backends, scratch):
        words = [*ringfort_pool(programs, protocol, port, backends, scratch), "--write", policy]
        if sync:
            spool = tempfile.mkdtemp(prefix="spool-", dir=scratch)
            words += ["--spool", spool, "--spool-sync", sync]
        return words

    return command


def memcached(_programs, _protocol, port, _backends, _scratch):
    return ["memcached", "-l", "127.0.0.1", "-p", port, "-U", 0, "-t", 1, "-m", 256, "-c", 4096,
            *as_nobody()]


def as_nobody():
    """memcached refuses to run as root, but not as root told to become somebody else."""
    return ["-u", "nobody"] if os.geteuid() == 0 else []


def redis(_programs, _protocol, port, _backends, _scratch):
    return ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"]


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
    config = scratch / "predixy.conf"
    groups = "".join(
        f"    Group g{number} {{\n        + 127.0.0.1:{backend}\n    }}\n"
        for number, backend in enumerate(backends)
    )
    config.write_text(
        f"Name predixy\nBind 127.0.0.1:{port}\nWorkerThreads 1\nClientTimeout 300\n"
        "Authority {\n    Auth {\n        Mode admin\n    }\n}\n"
        "StandaloneServerPool {\n    Databases 1\n    Hash crc16\n"
        f"    HashTag \"{HASH_TAG}\"\n    Distribution modula\n    RefreshMethod fixed\n{groups}}}\n"
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
    **{name: ringfort_later(name) for name in LATER},
    "nutcracker": nutcracker,
    "predixy": predixy,
    "memcached-proxy": memcached_proxy,
}


def spawn(running, command, core, port, scratch):
    """Starts a server on a core, ends it with `running`, returns its pid once it listens."""
    command = [str(word) for word in ["taskset", "-c", core, *command]]
    log_path = scratch / "server.log"
    with log_path.open("w") as log:
        # taskset becomes the server, so the pid is the server's.
        child = subprocess.Popen(command, cwd=scratch, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    running.callback(stop, child)
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if child.poll() is not None:
            said = log_path.read_text().strip().splitlines() or ["it says nothing"]
            raise Failed(f"{command[3]} ended at once: {said[0]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return child.pid
        time.sleep(0.02)
    raise Failed(f"{command[3]} does not listen on port {port}")


def stop(child):
    child.terminate()
    try:
        child.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def missing(servers):
    """What must be installed first, a line each."""
    lines = []
    for program, (install, users) in DEBIAN.items():
        needed_by = [name for name in servers if name in users]
        if needed_by and not shutil.which(program):
            lines.append(f"{program} is missing: {install} (or --without {','.join(needed_by)})")
    return lines
