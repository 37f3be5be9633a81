"""What the process is allowed: files, locked memory, CPU time of its control group."""

from .finding import Finding

MEMLOCK_BYTES_MIN = 512 * 1024
CONNECTIONS_MAX = 10_000  # ringfort's default
FILES_PER_SHARD, FILES_RESERVED = 16, 64
GROUPS = "/sys/fs/cgroup"


def findings(target):
    tree, hard = target.tree, hard_limits(target.tree)
    memlock = hard.get("Max locked memory")
    if memlock is not None and memlock < MEMLOCK_BYTES_MIN:
        yield Finding("locked memory", "stops", f"at most {memlock // 1024} KiB may be locked, 512 wanted", None, "",
                      "README.md, Requirements", "LimitMEMLOCK=512K, or ulimit -H -l 512")
    files, needed = hard.get("Max open files"), files_needed(target)
    if files is not None and files < needed:
        yield Finding("open files", "stops", f"at most {files} files, {needed} wanted for {CONNECTIONS_MAX} clients",
                      None, "", "README.md, Requirements", f"LimitNOFILE={needed}, or fewer --connections-max")
    yield from quota(target, tree)


def files_needed(target):
    return CONNECTIONS_MAX + FILES_PER_SHARD * len(target.cores) + FILES_RESERVED


def hard_limits(tree):
    """name: the hard limit, where there is one."""
    found = {}
    for line in tree.lines("/proc/self/limits"):
        name, numbers = line[:26].strip(), line[26:].split()
        if len(numbers) >= 2 and numbers[1].isdigit():
            found[name] = int(numbers[1])
    return found


def quota(target, tree):
    """The narrowest quota of the control group and those above it."""
    quotas = [(used_us / period_us, period_us, group) for group, used_us, period_us in quotas_of(tree)]
    if not quotas:
        return
    cores, period_us, group = min(quotas)
    if cores >= len(target.cores):
        return
    stall_us = period_us * (1 - cores / len(target.cores))
    stat = dict(line.split()[:2] for line in tree.lines(f"{group}/cpu.stat") if len(line.split()) > 1)
    throttled = f", throttled {stat['nr_throttled']} times" if stat.get("nr_throttled", "0") != "0" else ""
    yield Finding("CPU quota", "stalls", f"time of {cores:.3g} cores for {len(target.cores)} shards{throttled}",
                  (0, stall_us), "a period", "kernel cgroup-v2.rst: cpu.max of this group",
                  "a cpuset (AllowedCPUs=) instead of a quota")


def quotas_of(tree):
    for line in tree.lines("/proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon:
            continue
        parts = [part for part in path.split("/") if part and part != ".."]
        above = ["/".join(parts[:end]) for end in range(len(parts), -1, -1)]
        for place in above:
            if controllers == "":
                group = f"{GROUPS}/{place}".rstrip("/")
                words = (tree.read(f"{group}/cpu.max") or "max").split()
            elif "cpu" in controllers.split(","):
                group = f"{GROUPS}/cpu/{place}".rstrip("/")
                words = [tree.read(f"{group}/cpu.cfs_quota_us") or "max",
                         tree.read(f"{group}/cpu.cfs_period_us") or "100000"]
            else:
                continue
            if len(words) == 2 and all(word.isdigit() and int(word) for word in words):
                yield group, int(words[0]), int(words[1])
