"""The servers that are compared: which there are, what they need, how one is started."""

import shutil
import subprocess
from dataclasses import dataclass

from . import PROTOCOLS, SERVER_CORE, Failed, rivals
from .backends import start_backends
from .launch import Launch, Peering
from .ours import HOT, LATER
from .peers import COMMANDS, start_origin
from .process import free_port, spawn
from .wire import QUESTIONS

# name: protocols it speaks here
SERVERS = {
    "floor": PROTOCOLS,
    "ringfort": PROTOCOLS,
    "ringfort-spin": PROTOCOLS,
    "memcached": ("memcache",),
    "redis": ("resp",),
    "valkey": ("resp",),
    "dragonfly": PROTOCOLS,
    "crucible": PROTOCOLS,
    "ringfort-pool": PROTOCOLS,
    "ringfort-l1": PROTOCOLS,
    "ringfort-tracked": ("resp",),
    "ringfort-cluster": ("resp",),
    "ringfort-cluster-tracked": ("resp",),
    **{name: PROTOCOLS for name in LATER},
    "ringfort-group": PROTOCOLS,
    "ringfort-group-ending": PROTOCOLS,
    **{name: ("memcache",) for name in HOT},
    "nutcracker": PROTOCOLS,
    "predixy": ("resp",),
    "predixy-cluster": ("resp",),
    "memcached-proxy": ("memcache",),
    "groupcache": ("memcache",),
}
# Their keys come from an origin: how long those are good, seconds.
GROUPS = {"ringfort-group": None, "ringfort-group-ending": 3600}
RIVALS = tuple(rivals.COMMANDS)
CLUSTER_PROXIES = ("ringfort-cluster", "ringfort-cluster-tracked", "predixy-cluster")
PROXIES = ("ringfort-pool", "ringfort-l1", "ringfort-tracked", *LATER, *CLUSTER_PROXIES, "nutcracker",
           "predixy", "memcached-proxy")
# program: what installs it, who needs it
DEBIAN = {
    "memcached": ("apt install memcached", ("memcached", *PROXIES)),
    "redis-server": ("apt install redis-server", ("redis", *PROXIES)),
    "nutcracker": ("apt install nutcracker", ("nutcracker",)),
    "redis-cli": ("apt install redis-tools", CLUSTER_PROXIES),
    "go": ("apt install golang-go golang-github-golang-groupcache-dev", ("groupcache",)),
    "taskset": ("apt install util-linux", tuple(SERVERS)),
}
# Not packaged by Debian: measured where a path is given.
GIVEN = {
    "valkey": "https://github.com/valkey-io/valkey, `make`: src/valkey-server",
    "dragonfly": "https://github.com/dragonflydb/dragonfly, a release's binary",
    "crucible": "https://github.com/brayniac/crucible, `cargo build --release`: crucible-server",
    "predixy": "https://github.com/joyieldInc/predixy, `make`",
    "memcached-proxy": "memcached 1.6.23 or later, `./configure --enable-proxy && make`",
}
# Debian's, which another build may stand for.
REPLACED = ("memcached", "redis")

# Servers that are one of those under another configuration.
SAME_PROGRAM = {"predixy-cluster": "predixy"}

FLOOR_REPLY_BYTES_MAX = 16_384  # bench/src/bin/floor/echo.rs


@dataclass(frozen=True)
class Started:
    address: str
    pid: int
    generator_options: tuple
    backends: tuple  # (port, pid) of each


def start(running, name, point, scenario, programs, scratch):
    """Starts a server and its backends; `running` ends them."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    backends = ()
    if name in PROXIES:
        backends = start_backends(running, point.protocol, scenario, programs, scratch)
    options = ("--prefill",)
    cores = scenario.server_cores
    peering = None
    if name in GROUPS:
        # The warm-up reads every key, which has it loaded.
        options = ()
        origin = start_origin(running, point, programs, scratch, max_age_s=GROUPS[name])
        peering = Peering(origin.port, me="", owners=())
    if name == "floor":
        request_bytes, reply_bytes = shape(programs, point)
        command = [programs.ours / "floor", "--listen", address, "--core", SERVER_CORE,
                   "--request-bytes", request_bytes, "--reply-bytes", reply_bytes]
        options = ("--reply-bytes", reply_bytes)
    else:
        ports = tuple(port for port, _ in backends)
        command = COMMANDS[name](Launch(programs, point.protocol, port, scratch, ports, cores,
                                        memory_mib=scenario.memory_mib, keys=point.keys, peering=peering))
    question = None if name == "floor" else QUESTIONS[point.protocol]
    pid = spawn(running, command, ",".join(map(str, cores)), port, scratch, question)
    return Started(address, pid, options, backends)


def can_measure(name, point):
    """Whether the server speaks the protocol; the floor has no longer replies than these."""
    if point.protocol not in SERVERS[name]:
        return False
    is_short = point.load.read_ratio < 0.5 or point.value_bytes + 64 <= FLOOR_REPLY_BYTES_MAX
    return name != "floor" or is_short


def shape(programs, point):
    """Lengths of a request and its reply, from the generator itself. A mix is mostly reads."""
    op = "get" if point.load.read_ratio >= 0.5 else "set"
    command = [programs.ours / "ringfort-bench", "shape", "--protocol", point.protocol,
               "--value-bytes", str(point.value_bytes)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in said.splitlines():
        name, _, request_bytes, _, reply_bytes = line.split()
        if name == op:
            return request_bytes, reply_bytes
    raise Failed(f"the generator does not tell the shape of {op}")


def missing(servers, given):
    """What must be installed first, a line each."""
    lines = []
    for program, (install, users) in DEBIAN.items():
        needed_by = [name for name in servers if name in users]
        is_there = program.removesuffix("-server") in given or shutil.which(program)
        if needed_by and not is_there:
            lines.append(f"{program} is missing: {install} (or --without {','.join(needed_by)})")
    return lines
