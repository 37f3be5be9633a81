"""The kernel: whether ringfort runs on it, and what it does on the way in and out."""

import re

from .finding import Change, Finding, REQUEST_US
from .target import CPUS

KERNEL_MIN = (6, 1)
# Since when io_uring has what a cache could use besides; ringfort asks for none of it yet.
LATER = (((6, 10), "bundles"), ((6, 12), "incremental buffers, min_wait"))
CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter")
CLOCK_FILE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
# Those that do work on every entry of the kernel; the others cost next to nothing there.
DEAR_MITIGATIONS = re.compile(r"\bPTI\b|\bIBRS\b(?!-)|Clear CPU buffers|untrained return|Safe RET|IBPB on", re.I)
MITIGATION_SHARES = (0.03, 0.30)
MITIGATION_SOURCE = "Behrens et al., EuroSys 2022: 3 % on new processors, 30 % on old ones"


def findings(target):
    tree = target.tree
    yield from version(tree.read("/proc/sys/kernel/osrelease") or "")
    yield from uring(tree)
    yield from clock(tree)
    yield from mitigations(tree)
    yield from autogroup(tree)


def version(release):
    numbers = tuple(int(number) for number in re.findall(r"\d+", release)[:2])
    if len(numbers) < 2:
        return
    if numbers < KERNEL_MIN:
        yield Finding("kernel", "stops", f"kernel {release}, 6.1 or later wanted", None, "",
                      "README.md, Requirements", "a newer kernel")
        return
    lacking = [f"{what} ({since[0]}.{since[1]})" for since, what in LATER if numbers < since]
    if lacking:
        yield Finding("io_uring", "note", f"no {', '.join(lacking)}: not used yet",
                      None, "", "io_uring's release notes", "a newer one")


def uring(tree):
    level = tree.number("/proc/sys/kernel/io_uring_disabled") or 0
    if level >= 2:
        yield Finding("io_uring", "stops", f"kernel.io_uring_disabled is {level}", None, "",
                      "README.md, Requirements", "sysctl kernel.io_uring_disabled=0")
    elif level == 1:
        group = tree.read("/proc/sys/kernel/io_uring_group") or "?"
        yield Finding("io_uring", "note", f"io_uring is for root and group {group} alone", None, "",
                      "kernel admin-guide/sysctl/kernel.rst", "run ringfort in that group")


def clock(tree):
    found = tree.read(CLOCK_FILE)
    if found is None or found in CLOCKS:
        return
    available = (tree.read(CLOCK_FILE.replace("current", "available")) or "").split()
    usable = next((name for name in CLOCKS if name in available), None)
    yield Finding("clock", "slows", f"clock source {found}", (0.5, 2), "a turn",
                  "estimate: a register of a device is read, by a system call, once a turn",
                  "host-tune" if usable else "boot with tsc=reliable, if it is",
                  (Change(CLOCK_FILE, usable),) if usable else ())


def mitigations(tree):
    folder = f"{CPUS}/vulnerabilities"
    states = {name: tree.read(f"{folder}/{name}") or "" for name in tree.names(folder)}
    mitigated = {name for name, state in states.items() if state.startswith("Mitigation")}
    dear = sorted(name for name in mitigated if DEAR_MITIGATIONS.search(states[name]))
    if mitigated:
        least, most = (REQUEST_US * share for share in MITIGATION_SHARES)
        told = f"{len(mitigated)} mitigations" + (f", dear ones for {', '.join(dear)}" if dear else "")
        yield Finding("mitigations", "note", told, (least, most) if dear else (0, least),
                      "a request at depth 1", MITIGATION_SOURCE,
                      "mitigations=off where nobody else runs code")


def autogroup(tree):
    path = "/proc/sys/kernel/sched_autogroup_enabled"
    if tree.number(path) == 1:
        yield Finding("autogroup", "slows", "the scheduler shares by session, so nice values count little",
                      None, "", "sched(7), The autogroup feature", "host-tune", (Change(path, "0"),))
