"""Memory: the size of pages, and whether they stay where they are."""

from .finding import Change, Finding
from .target import count
from .tree import chosen

HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"


def findings(target):
    tree = target.tree
    yield from huge_pages(tree)
    yield from swap(tree)
    yield from balancing(target)
    yield from reclaim(tree)


def huge_pages(tree):
    if chosen(tree.read(HUGE_PAGES)) == "never":
        yield Finding("huge pages", "slows", "transparent huge pages are off", (0.05, 0.2),
                      "a look-up in a large store",
                      "estimate: two page walks, whose last step misses the caches",
                      "host-tune, restart ringfort", (Change(HUGE_PAGES, "madvise"),))


def swap(tree):
    areas = tree.lines("/proc/swaps")[1:]
    swappiness = tree.number("/proc/sys/vm/swappiness")
    if areas and swappiness is not None and swappiness > 1:
        used_kib = sum(int(words[3]) for words in map(str.split, areas) if len(words) > 3 and words[3].isdigit())
        used = f", {used_kib // 1024} MiB of it used" if used_kib else ""
        yield Finding("swap", "stalls", f"{count(len(areas), 'swap area')}{used}, swappiness {swappiness}",
                      (100, 10_000), "a page that comes back",
                      "estimate: a read from a disk, 0.1 ms if it is fast, 10 ms if it turns",
                      "host-tune, or swapoff -a", (Change("/proc/sys/vm/swappiness", "1"),))


def balancing(target):
    path = "/proc/sys/kernel/numa_balancing"
    if len(target.nodes()) > 1 and target.tree.number(path) not in (None, 0):
        yield Finding("NUMA balancing", "slows", "pages are unmapped to see who uses them", (1, 5),
                      "a page touched after that",
                      "estimate: a page fault; kernel sysctl/kernel.rst advises against it here",
                      "host-tune", (Change(path, "0"),))


def reclaim(tree):
    path = "/proc/sys/vm/zone_reclaim_mode"
    if tree.number(path) not in (None, 0):
        yield Finding("zone reclaim", "stalls", "a node frees its page cache before it asks another for memory",
                      None, "", "kernel admin-guide/sysctl/vm.rst", "host-tune", (Change(path, "0"),))
