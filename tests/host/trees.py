"""Three machines that are none: folders that look like /proc and /sys, for host-check and host-tune.

Each is a table path -> text; what the kernel has in thousands of files more is of no interest to the scripts.
"""

from pathlib import Path

CPUS = "/sys/devices/system/cpu"
NODES = "/sys/devices/system/node"
SYSCTLS = "/proc/sys"
LIMITS = ("Limit                     Soft Limit           Hard Limit           Units     \n"
          "Max open files            1024                 {files:<20} files     \n"
          "Max locked memory         {memlock:<20} {memlock:<20} bytes     \n")


def grow(folder, table):
    """Makes the tree in `folder`."""
    for path, text in table.items():
        place = Path(folder) / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{text}\n")


def bare_metal():
    """Eight cores with two threads each, as a distribution leaves them; one card with eight queues."""
    table = common("6.8.0-45-generic", range(16), nodes={0: "0-15"})
    for cpu in range(16):
        table[f"{CPUS}/cpu{cpu}/topology/thread_siblings_list"] = f"{cpu % 8},{cpu % 8 + 8}"
        table |= frequency(cpu, "powersave", "balance_performance", (800_000, 2_400_000, 3_600_000))
        table |= idle(cpu, {"POLL": 0, "C1": 2, "C1E": 10, "C6": 133})
    table |= card("eth0", queues=8, first_irq=120, interrupt="eth0-TxRx-{}", cpus=16, node=-1)
    # As a driver does that sees one core: every queue's interrupt may go anywhere, and goes to core 0.
    for irq in range(120, 128):
        table[f"/proc/irq/{irq}/smp_affinity_list"] = "0-15"
        table[f"/proc/irq/{irq}/effective_affinity_list"] = "0"
    table |= {
        f"{CPUS}/intel_pstate/no_turbo": "0",
        f"{CPUS}/vulnerabilities/meltdown": "Mitigation: PTI",
        f"{CPUS}/vulnerabilities/spectre_v2": "Mitigation: Retpolines; IBPB: conditional; STIBP: conditional",
        f"{CPUS}/vulnerabilities/tsx_async_abort": "Not affected",
        "/sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]",
        "/proc/swaps": "Filename Type Size Used Priority\n/dev/sda2 partition 8388604 524288 -2",
        f"{SYSCTLS}/vm/swappiness": "60",
        f"{SYSCTLS}/net/core/somaxconn": "128",
        f"{SYSCTLS}/net/core/busy_read": "50",
        f"{SYSCTLS}/kernel/sched_autogroup_enabled": "1",
        "/proc/net/netstat": "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 1234 1240",
        "/proc/812/comm": "irqbalance",
    }
    return table


def virtual():
    """Four CPUs of somebody's cloud in a container, on which ringfort does not start as it is."""
    table = common("5.15.0-91-generic", range(4), nodes={0: "0-3"}, flags="fpu tsc hypervisor")
    table |= card("eth0", queues=1, first_irq=24, interrupt="virtio0-{}.0", cpus=4, node=None)
    table["/proc/stat"] = "cpu  8000 0 2000 90000 0 0 0 4000 0 0\ncpu0 2000 0 500 22500 0 0 0 1000 0 0"
    table["/proc/self/limits"] = LIMITS.format(files=4096, memlock=65536)
    table |= {
        "/sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet",
        "/sys/devices/system/clocksource/clocksource0/available_clocksource": "kvm-clock hpet acpi_pm",
        f"{SYSCTLS}/kernel/io_uring_disabled": "2",
        "/proc/self/cgroup": "0::/kubepods/pod1",
        "/sys/fs/cgroup/kubepods/pod1/cpu.max": "200000 100000",
        "/sys/fs/cgroup/kubepods/pod1/cpu.stat": "usage_usec 1\nnr_periods 900\nnr_throttled 77",
        "/sys/fs/cgroup/kubepods/cpu.max": "max 100000",
    }
    return table


def numa():
    """Two sockets of four cores, well kept but for what comes of there being two."""
    table = common("6.12.8", range(8), nodes={0: "0-3", 1: "4-7"})
    for cpu in range(8):
        table |= frequency(cpu, "performance", "performance", (800_000, 2_400_000, 3_600_000))
        table |= idle(cpu, {"POLL": 0, "C1": 2})
    table |= card("ens1", queues=8, first_irq=200, interrupt="mlx5_comp{}@pci:0000:81:00.0", cpus=8, node=1)
    table |= {
        f"{CPUS}/isolated": "0-7",
        f"{NODES}/node0/distance": "10 32",
        f"{NODES}/node1/distance": "32 10",
        f"{SYSCTLS}/kernel/numa_balancing": "1",
        f"{SYSCTLS}/vm/zone_reclaim_mode": "1",
    }
    # A queue for each shard: one that two share, and one whose packets go on to other cores.
    table["/proc/irq/207/smp_affinity_list"] = table["/proc/irq/207/effective_affinity_list"] = "6"
    table["/sys/class/net/ens1/queues/tx-7/xps_cpus"] = "40"
    table["/sys/class/net/ens1/queues/rx-3/rps_cpus"] = "ff"
    table["/sys/class/net/ens1/gro_flush_timeout"] = "20000"
    return table


def common(release, cpus, nodes, flags="fpu tsc"):
    """A machine that nothing is wrong with."""
    cpus = list(cpus)
    every = f"0-{cpus[-1]}"
    table = {
        "/proc/cpuinfo": f"processor\t: 0\nflags\t\t: {flags}",
        "/proc/stat": "cpu  1000 0 1000 98000 0 0 0 0 0 0",
        "/proc/swaps": "Filename Type Size Used Priority",
        "/proc/self/status": f"Name:\tcat\nCpus_allowed_list:\t{every}",
        "/proc/self/limits": LIMITS.format(files=1_048_576, memlock=8_388_608),
        "/proc/self/cgroup": "0::/user.slice",
        f"{CPUS}/online": every,
        f"{CPUS}/isolated": "",
        f"{CPUS}/nohz_full": " (null)",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
        "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
        f"{SYSCTLS}/kernel/osrelease": release,
        f"{SYSCTLS}/kernel/random/boot_id": "3c4a7b1e-0000-4000-8000-000000000001",
        f"{SYSCTLS}/kernel/io_uring_disabled": "0",
        f"{SYSCTLS}/kernel/numa_balancing": "0",
        f"{SYSCTLS}/kernel/sched_autogroup_enabled": "0",
        f"{SYSCTLS}/vm/swappiness": "60",
        f"{SYSCTLS}/vm/zone_reclaim_mode": "0",
        f"{SYSCTLS}/net/core/somaxconn": "4096",
        f"{SYSCTLS}/net/core/busy_read": "0",
        f"{SYSCTLS}/net/core/busy_poll": "0",
        f"{SYSCTLS}/net/core/netdev_budget_usecs": "2000",
        f"{SYSCTLS}/net/ipv4/tcp_max_syn_backlog": "4096",
        f"{SYSCTLS}/net/ipv4/tcp_syncookies": "1",
        f"{SYSCTLS}/net/ipv4/tcp_slow_start_after_idle": "0",
        "/sys/class/net/lo/operstate": "unknown",
    }
    for node, listed in nodes.items():
        table[f"{NODES}/node{node}/cpulist"] = listed
        table[f"{NODES}/node{node}/distance"] = "10"
    for cpu in cpus:
        table[f"{CPUS}/cpu{cpu}/topology/thread_siblings_list"] = str(cpu)
    return table


def frequency(cpu, governor, preference, khz):
    folder = f"{CPUS}/cpu{cpu}/cpufreq"
    least, base, most = map(str, khz)
    return {
        f"{folder}/scaling_governor": governor,
        f"{folder}/energy_performance_preference": preference,
        f"{folder}/cpuinfo_min_freq": least,
        f"{folder}/base_frequency": base,
        f"{folder}/cpuinfo_max_freq": most,
    }


def idle(cpu, states):
    table = {}
    for number, (name, latency_us) in enumerate(states.items()):
        folder = f"{CPUS}/cpu{cpu}/cpuidle/state{number}"
        table |= {f"{folder}/name": name, f"{folder}/latency": str(latency_us), f"{folder}/disable": "0"}
    return table


def card(name, queues, first_irq, interrupt, cpus, node):
    """A card that is up, each queue's interrupt on the core of its number, and sending by queues likewise."""
    folder = f"/sys/class/net/{name}"
    table = {f"{folder}/operstate": "up", f"{folder}/gro_flush_timeout": "0"}
    table[f"{folder}/device/vendor"] = "0x15b3"
    if node is not None:
        table[f"{folder}/device/numa_node"] = str(node)
    heading = "           " + "".join(f"CPU{cpu:<8}" for cpu in range(cpus))
    listing = [heading, f" {first_irq - 1}:          1  PCI-MSI 524287-edge      {name}-async"]
    kinds = ("input", "output") if "virtio" in interrupt else range(queues)
    for place, kind in enumerate(kinds):
        irq, core = first_irq + place, place % cpus
        listing.append(f" {irq}:          0  PCI-MSI {524288 + place}-edge      {interrupt.format(kind)}")
        table[f"/proc/irq/{irq}/smp_affinity_list"] = str(core)
        table[f"/proc/irq/{irq}/effective_affinity_list"] = str(core)
        table[f"{folder}/device/msi_irqs/{irq}"] = "msix"
    table[f"{folder}/device/msi_irqs/{first_irq - 1}"] = "msix"
    listing.append("NMI:          0          0   Non-maskable interrupts")
    table["/proc/interrupts"] = "\n".join(listing)
    for queue in range(queues):
        table[f"{folder}/queues/rx-{queue}/rps_cpus"] = "0"
        table[f"{folder}/queues/tx-{queue}/xps_cpus"] = f"{1 << queue:x}" if queues == cpus else "0"
    return table


ALL = {"bare-metal": bare_metal, "virtual": virtual, "numa": numa}
