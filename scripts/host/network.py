"""The way of a packet to a shard: sysctls, and the cards' interrupts and queues."""

from . import interrupts
from .finding import Change, Finding
from .target import AWAY, INTERFACES, LEAVE, count
from .tree import cpus_of_mask, list_of_cpus, mask_of_cpus, meaning, named

BACKLOG = 4096  # what ringfort listens with
LOST_SYN_US = 1_000_000
ROUND_TRIP_US = 100  # in one data centre
HOP_US = (1, 3)
HOP_SOURCE = "estimate: an interrupt and cache misses; kernel networking/scaling.rst"


def findings(target):
    tree = target.tree
    yield from accept_queue(tree)
    yield from syn_queue(tree)
    yield from busy_poll(tree)
    yield from slow_start(tree)
    yield from balancer(tree)
    for name in target.interfaces:
        yield from card(target, name)


def accept_queue(tree):
    path = "/proc/sys/net/core/somaxconn"
    found = tree.number(path)
    if found is not None and found < BACKLOG:
        lost = overflows(tree)
        told = f", {lost} connections lost since it started" if lost else ""
        yield Finding("accept queue", "stalls", f"somaxconn {found}, {BACKLOG} wanted{told}", (0, LOST_SYN_US),
                      "a connection in a storm", "RFC 6298: a lost SYN is sent again after 1 s",
                      "host-tune, restart ringfort", (Change(path, str(BACKLOG)),))


def syn_queue(tree):
    path = "/proc/sys/net/ipv4/tcp_max_syn_backlog"
    found = tree.number(path)
    if found is None or found >= BACKLOG:
        return
    # With cookies nothing is lost but, at times, a connection's options.
    is_lost = tree.number("/proc/sys/net/ipv4/tcp_syncookies") == 0
    yield Finding("SYN queue", "stalls" if is_lost else "slows", f"tcp_max_syn_backlog {found}, {BACKLOG} wanted",
                  (0, LOST_SYN_US) if is_lost else None, "a connection in a storm",
                  "RFC 6298: a lost SYN is sent again after 1 s" if is_lost else "kernel networking/ip-sysctl.rst",
                  "host-tune", (Change(path, str(BACKLOG)),))


def overflows(tree):
    """`ListenOverflows` of `/proc/net/netstat`: lines come in pairs, names and numbers."""
    lines = tree.lines("/proc/net/netstat")
    for names, numbers in zip(lines[::2], lines[1::2]):
        if names.startswith("TcpExt:"):
            return int(dict(zip(names.split(), numbers.split())).get("ListenOverflows", 0))
    return 0


def busy_poll(tree):
    for name in ("busy_read", "busy_poll"):
        path = f"/proc/sys/net/core/{name}"
        found = tree.number(path)
        if found:
            yield Finding(name, "slows", f"net.core.{name} is {found}: sockets ask the card at each receive",
                          (0, found), "a receive that finds nothing",
                          f"net.core.{name} here; it is not for who waits in a ring",
                          "host-tune", (Change(path, "0"),))


def slow_start(tree):
    path = "/proc/sys/net/ipv4/tcp_slow_start_after_idle"
    if tree.number(path) == 1:
        yield Finding("slow start", "slows", "connections start slowly again after a pause",
                      (0, 3 * ROUND_TRIP_US), "a value over 14 KB after a pause",
                      "RFC 6928: 10 segments, then twice as many each round trip, of 0.1 ms",
                      "host-tune", (Change(path, "0"),))


def balancer(tree):
    names = (tree.read(f"/proc/{pid}/comm") for pid in tree.names("/proc") if pid.isdigit())
    if "irqbalance" in names:
        yield Finding("irqbalance", "note", "irqbalance runs: it moves interrupts as it likes", HOP_US,
                      "a packet after a move", HOP_SOURCE, "systemctl disable --now irqbalance")


def card(target, name):
    tree, folder = target.tree, f"{INTERFACES}/{name}"
    queues = tree.names(f"{folder}/queues")
    receive = [queue for queue in queues if queue.startswith("rx-")]
    send = [queue for queue in queues if queue.startswith("tx-")]
    if 0 < len(receive) < len(target.cores):
        yield Finding(f"{name} queues", "slows",
                      f"{name}: {count(len(receive), 'receive queue')} for {count(len(target.cores), 'shard')}",
                      HOP_US, "a packet for another core", HOP_SOURCE,
                      f"ethtool -L {name} combined {len(target.cores)}, if the card has them")
    yield from interrupts_of(target, name)
    if len(receive) > 1:
        yield from steering(tree, name, folder, receive)
    if len(send) > 1:
        yield from sending(target, name, folder, send)
    yield from waiting(tree, name, folder)
    yield from node(target, name, folder)


def interrupts_of(target, name):
    tree, lines = target.tree, interrupts.of_interface(target.tree, name)
    if not lines or interrupts.is_even(target, lines):
        return
    loads = interrupts.loads(target, lines)
    changes = []
    for line in lines if target.interrupts != LEAVE else ():
        path, cpus = f"/proc/irq/{line.number}/smp_affinity_list", places_of(target, line)
        if meaning(path, tree.read(path)) != cpus:
            changes.append(Change(path, list_of_cpus(cpus)))
    yield Finding(f"{name} interrupts", "slows",
                  f"{name}: {sum(loads.values())} of {count(len(lines), 'interrupt')} go to "
                  f"{named(loads)} of the shards, up to {max(loads.values())} to a core",
                  (1, tree.number("/proc/sys/net/core/netdev_budget_usecs") or 2000),
                  "a request behind others' packets",
                  "net.core.netdev_budget_usecs here: one round of packets",
                  "host-tune" if changes else "/proc/irq/*/smp_affinity_list", tuple(changes))


def places_of(target, line):
    """The cores that a queue's interrupts are to go to."""
    if target.interrupts == AWAY:
        return (target.others[line.queue % len(target.others)],)
    return (target.cores[line.queue % len(target.cores)],)


def steering(tree, name, folder, receive):
    changes = []
    for queue in receive:
        path = f"{folder}/queues/{queue}/rps_cpus"
        if cpus_of_mask(tree.read(path)):
            changes.append(Change(path, "0"))
    if changes:
        yield Finding(f"{name} RPS", "slows", f"{name}: packets of {count(len(changes), 'queue')} are handed on",
                      HOP_US, "a packet", HOP_SOURCE, "host-tune", tuple(changes))


def sending(target, name, folder, send):
    """With as many queues as shards each has one of its own; with fewer, as few as can be share one."""
    tree, cores = target.tree, target.cores
    found = {queue: tree.read(f"{folder}/queues/{queue}/xps_cpus") for queue in send}
    if None in found.values():
        return
    users = {queue: [cpu for cpu in cpus_of_mask(mask) if cpu in cores] for queue, mask in found.items()}
    most = -(-len(cores) // len(send))
    served = {cpu for cpus in users.values() for cpu in cpus}
    if served == set(cores) and all(len(cpus) <= most for cpus in users.values()):
        return
    changes = []
    for place, queue in enumerate(send):
        path = f"{folder}/queues/{queue}/xps_cpus"
        new = mask_of_cpus(cores[place::len(send)])
        if meaning(path, found[queue]) != meaning(path, new):
            changes.append(Change(path, new))
    yield Finding(f"{name} XPS", "slows", f"{name}: shards share queues to send by",
                  (0.1, 0.5), "a send", "estimate: a lock that another core had; kernel networking/scaling.rst",
                  "host-tune", tuple(changes))


def waiting(tree, name, folder):
    path = f"{folder}/gro_flush_timeout"
    nanoseconds = tree.number(path)
    if nanoseconds:
        yield Finding(f"{name} GRO", "slows", f"{name}: packets wait for others, gro_flush_timeout {nanoseconds}",
                      (0, nanoseconds / 1000), "a packet", "gro_flush_timeout here", "host-tune",
                      (Change(path, "0"),))


def node(target, name, folder):
    own = target.tree.number(f"{folder}/device/numa_node")
    nodes = target.nodes()
    if own is None or own not in nodes or len(nodes) < 2:
        return
    far = [cpu for cpu in target.cores if cpu not in nodes[own]]
    if far:
        yield Finding(f"{name} node", "slows", f"{name} is on node {own}, {named(far)} not",
                      (0.2, 0.5), "a packet", "estimate: two to four cache misses to the other node, 0.1 µs",
                      f"--cores {list_of_cpus(nodes[own])}")
