"""The cores of the shards: how fast they run, how deep they sleep, whom they share with."""

import math

from .finding import Change, Finding, slower
from .target import CPUS, NODES, count
from .tree import cpus_of_list, list_of_cpus, named

IDLE_LATENCY_US_MAX = 10  # a deeper sleep than this is felt at depth 1
SIBLING_SHARE = 0.65  # of a core that each of two busy hardware threads has
SIBLING_SOURCE = "Marr et al., Intel Technology Journal 6(1): two do 30 % more"
MEMORY_US = 0.1  # a cache miss to the own node's memory
MISSES = 2  # of a look-up: the bucket and the entry
SLICE_US, SLICE_CPUS_MAX = 750, 8  # kernel/sched/fair.c: doubled up to this many CPUs


def findings(target):
    yield from governor(target)
    yield from turbo(target)
    yield from idle_states(target)
    yield from siblings(target)
    yield from remote_memory(target)
    yield from isolation(target)
    yield from hypervisor(target)
    yield from steal(target)


def governor(target):
    tree, changes, slow, most = target.tree, [], {}, 0
    for cpu in target.cores:
        folder = f"{CPUS}/cpu{cpu}/cpufreq"
        found = tree.read(f"{folder}/scaling_governor")
        if found in (None, "performance"):
            continue
        slow.setdefault(found, []).append(cpu)
        preference = f"{folder}/energy_performance_preference"
        # Before the governor: under `performance` drivers refuse to have it changed.
        if tree.read(preference) not in (None, "performance"):
            changes.append(Change(preference, "performance"))
        changes.append(Change(f"{folder}/scaling_governor", "performance"))
        least_khz = tree.number(f"{folder}/cpuinfo_min_freq")
        most_khz = tree.number(f"{folder}/cpuinfo_max_freq")
        if least_khz and most_khz:
            most = max(most, slower(most_khz / least_khz - 1))
    if slow:
        told = ", ".join(f"{name} on {list_of_cpus(cpus)}" for name, cpus in slow.items())
        yield Finding("governor", "slows", f"governor {told}", (0, most) if most else None,
                      "a request on a core that clocked down",
                      "cpuinfo_max_freq over cpuinfo_min_freq here", "host-tune", tuple(changes))


def turbo(target):
    tree = target.tree
    for path, off in ((f"{CPUS}/intel_pstate/no_turbo", 1), (f"{CPUS}/cpufreq/boost", 0)):
        if tree.number(path) != off:
            continue
        folder = f"{CPUS}/cpu{target.cores[0]}/cpufreq"
        base_khz = tree.number(f"{folder}/base_frequency")
        most_khz = tree.number(f"{folder}/cpuinfo_max_freq")
        share = most_khz / base_khz - 1 if base_khz and most_khz else 0
        yield Finding("turbo", "slows", "turbo is off", (0, slower(share)) if share > 0 else None, "a request",
                      "cpuinfo_max_freq over base_frequency here", "host-tune",
                      (Change(path, str(1 - off)),))
        return


def idle_states(target):
    tree, changes, deepest, cores = target.tree, [], (0, ""), set()
    for cpu in target.cores:
        folder = f"{CPUS}/cpu{cpu}/cpuidle"
        for state in tree.names(folder):
            latency_us = tree.number(f"{folder}/{state}/latency") or 0
            if latency_us <= IDLE_LATENCY_US_MAX or tree.number(f"{folder}/{state}/disable") != 0:
                continue
            changes.append(Change(f"{folder}/{state}/disable", "1"))
            deepest = max(deepest, (latency_us, tree.read(f"{folder}/{state}/name") or state))
            cores.add(cpu)
    if changes:
        latency_us, name = deepest
        yield Finding("idle states", "slows", f"{named(cores)}: as deep asleep as {name}",
                      (0, latency_us), "a wake-up", "cpuidle/state*/latency here", "host-tune",
                      tuple(changes))


def siblings(target):
    shared = {threads for cpu in target.cores
              if len(threads := tuple(c for c in target.siblings(cpu) if c in target.cores)) > 1}
    if shared:
        alone = list_of_cpus(cpu for cpu in target.cores if min(target.siblings(cpu)) == cpu)
        first = "+".join(map(str, min(shared)))
        yield Finding("SMT", "slows", f"{count(len(shared), 'core')} with two shards each, as {first}",
                      (0, slower(1 / SIBLING_SHARE - 1)), "a request when both are busy", SIBLING_SOURCE,
                      f"--cores {alone}" if alone else "--cores with one thread of each core")


def remote_memory(target):
    nodes = target.nodes_of_cores()
    if len(nodes) < 2:
        return
    distances = (target.tree.read(f"{NODES}/node{nodes[0]}/distance") or "10").split()
    most = max(int(distance) for distance in distances if distance.isdigit())
    yield Finding("NUMA", "slows", f"shards on nodes {list_of_cpus(nodes)}: each reads the other's memory",
                  (0, MISSES * MEMORY_US * (most / 10 - 1)), "a look-up that misses the caches",
                  f"node/distance here, {most} to 10, times {MISSES} misses of 0.1 µs",
                  f"one ringfort a node, as --cores {list_of_cpus(set(target.nodes()[nodes[0]]) & set(target.cores))}")


def isolation(target):
    bare, ticking = ([cpu for cpu in target.cores if cpu not in cpus_of_list(listed(target.tree, name))]
                     for name in ("isolated", "nohz_full"))
    if ticking and not bare:
        yield Finding("tick", "note", f"the timer's tick interrupts {named(ticking)}", None, "",
                      "kernel timers/no_hz.rst", "nohz_full=")
    if bare and len(target.online) > 1:
        doublings = math.floor(math.log2(min(len(target.online), SLICE_CPUS_MAX)))
        yield Finding("isolation", "note", f"other programs may run on {named(bare)}",
                      (0, SLICE_US * (1 + doublings)), "a time that one does",
                      "kernel/sched/fair.c: a slice, 0.75 ms × (1 + log2 of up to 8 CPUs)",
                      "a cpuset for the others, or isolcpus=")


def listed(tree, name):
    """The kernel says `(null)` for none."""
    text = tree.read(f"{CPUS}/{name}") or ""
    return "" if "null" in text else text


def hypervisor(target):
    if target.is_virtual:
        yield Finding("hypervisor", "note", "virtual: an idle core is given back to the host", (1, 10),
                      "a wake-up", "kernel virt/kvm/halt-polling.rst: a few µs for the host's scheduler",
                      "kvm.halt_poll_ns there")


def steal(target):
    words = next((line.split() for line in target.tree.lines("/proc/stat") if line.startswith("cpu ")), [])
    times = [int(word) for word in words[1:9] if word.isdigit()]
    if len(times) == 8 and times[7] > sum(times) * 0.005:
        share = times[7] / sum(times)
        yield Finding("steal", "stalls", f"the host kept {share * 100:.1f} % of the CPU time for itself",
                      (slower(share), slower(share / (1 - share))), "a request on average, in pieces of ms",
                      "/proc/stat here, since it started", "cores of its own from the host")


def unseen(target):
    """What the machine does not tell of: a virtual one hides most of it."""
    cpu = f"{CPUS}/cpu{target.cores[0]}"
    places = {
        "governor": (f"{cpu}/cpufreq/scaling_governor",),
        "sleep states": (f"{cpu}/cpuidle/state0/latency",),
        "turbo": (f"{CPUS}/intel_pstate/no_turbo", f"{CPUS}/cpufreq/boost"),
    }
    return [name for name, paths in places.items() if not any(map(target.tree.is_there, paths))]
