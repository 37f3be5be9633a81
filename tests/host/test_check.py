"""host-check on machines that are known: what it says of them, word by word, and when it says nothing."""

import contextlib
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

import trees
from scripts import SCRIPTS, OnTree, ran

from host import Wrong, checks, screen, target
from host.finding import GRADES, told_us
from host.tree import cpus_of_list, cpus_of_mask, list_of_cpus, mask_of_cpus, meaning

GOLDENS = Path(__file__).resolve().parent / "goldens"


class Goldens(OnTree):
    """RINGFORT_BLESS=1 writes them anew, for a person to read."""

    def assert_golden(self, name, table, *options):
        self.grow(table)
        status, said = self.check(*options)
        golden = GOLDENS / f"{name}.txt"
        if os.environ.get("RINGFORT_BLESS"):
            golden.write_text(said)
        self.maxDiff = None
        self.assertEqual(said, golden.read_text())
        self.assertEqual(status, 1)
        lines = said.splitlines()
        self.assertLessEqual(len(lines), screen.ROWS)
        self.assertLessEqual(max(map(len, lines)), screen.COLUMNS)
        self.assertNotIn("…", said, "nothing had to be cut")

    def test_bare_metal(self):
        self.assert_golden("bare-metal", trees.bare_metal())

    def test_virtual(self):
        self.assert_golden("virtual", trees.virtual())

    def test_numa(self):
        self.assert_golden("numa", trees.numa())


class Findings(OnTree):
    def found(self, table, cores=None):
        """name: finding. In this process: there are many."""
        self.grow(table)
        options = SimpleNamespace(root=self.root, cores=cores, interface=None)
        return {one.name: one for one in checks.findings(target.of_options(options))}

    def sound(self):
        """A machine with nothing to mend, and a card with a queue for each of its four cores."""
        return trees.common("6.14.2", range(4), {0: "0-3"}) | trees.card("eth0", 4, 40, "eth0-TxRx-{}", 4, -1)

    def test_a_sound_machine_has_nothing_to_mend(self):
        self.assertEqual(list(self.found(self.sound())), ["isolation"])
        self.set(f"{trees.CPUS}/isolated", "0-3")
        self.set(f"{trees.CPUS}/nohz_full", "0-3")
        self.assertEqual(self.check(), (0, "Linux 6.14.2, bare metal, 4 CPUs, 1 node; shards on 0-3; eth0\n"
                                           "nothing was found that costs latency\n"
                                           "not shown by this machine, so not judged: governor, sleep states, turbo\n"))

    def test_each_mistake_is_found_and_is_the_only_one(self):
        cpu0 = f"{trees.CPUS}/cpu0"
        card = "/sys/class/net/eth0"
        for name, grade, mistake in (
            ("kernel", "stops", {"/proc/sys/kernel/osrelease": "6.0.19"}),
            ("io_uring", "stops", {"/proc/sys/kernel/io_uring_disabled": "2"}),
            ("io_uring", "note", {"/proc/sys/kernel/io_uring_disabled": "1"}),
            ("io_uring", "note", {"/proc/sys/kernel/osrelease": "6.11.1"}),
            ("locked memory", "stops", {"/proc/self/limits": trees.LIMITS.format(files=99999, memlock=1024)}),
            ("open files", "stops", {"/proc/self/limits": trees.LIMITS.format(files=10127, memlock=1 << 20)}),
            ("governor", "slows", trees.frequency(0, "schedutil", "performance", (800, 2000, 3000))),
            ("turbo", "slows", {f"{trees.CPUS}/cpufreq/boost": "0"}),
            ("turbo", "slows", {f"{trees.CPUS}/intel_pstate/no_turbo": "1"}),
            ("idle states", "slows", trees.idle(3, {"C1": 2, "C6": 11})),
            ("SMT", "slows", {f"{cpu0}/topology/thread_siblings_list": "0-1",
                              f"{trees.CPUS}/cpu1/topology/thread_siblings_list": "0-1"}),
            ("steal", "stalls", {"/proc/stat": "cpu  900 0 0 90 0 0 0 10 0 0"}),
            ("hypervisor", "note", {"/proc/cpuinfo": "flags : fpu hypervisor"}),
            ("clock", "slows", {"/sys/devices/system/clocksource/clocksource0/current_clocksource": "acpi_pm"}),
            ("mitigations", "note", {f"{trees.CPUS}/vulnerabilities/retbleed": "Mitigation: untrained return thunk"}),
            ("autogroup", "slows", {"/proc/sys/kernel/sched_autogroup_enabled": "1"}),
            ("huge pages", "slows", {"/sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]"}),
            ("swap", "stalls", {"/proc/swaps": "Filename\n/swap file 1024 0 -2"}),
            ("zone reclaim", "stalls", {"/proc/sys/vm/zone_reclaim_mode": "1"}),
            ("CPU quota", "stalls", {"/sys/fs/cgroup/cpu.max": "350000 100000"}),
            ("accept queue", "stalls", {"/proc/sys/net/core/somaxconn": "4095"}),
            ("SYN queue", "slows", {"/proc/sys/net/ipv4/tcp_max_syn_backlog": "512"}),
            ("SYN queue", "stalls", {"/proc/sys/net/ipv4/tcp_max_syn_backlog": "512",
                                     "/proc/sys/net/ipv4/tcp_syncookies": "0"}),
            ("busy_read", "slows", {"/proc/sys/net/core/busy_read": "50"}),
            ("busy_poll", "slows", {"/proc/sys/net/core/busy_poll": "50"}),
            ("slow start", "slows", {"/proc/sys/net/ipv4/tcp_slow_start_after_idle": "1"}),
            ("irqbalance", "note", {"/proc/77/comm": "irqbalance"}),
            ("eth0 interrupts", "slows", {"/proc/irq/43/smp_affinity_list": "2"}),
            ("eth0 RPS", "slows", {f"{card}/queues/rx-2/rps_cpus": "f"}),
            ("eth0 XPS", "slows", {f"{card}/queues/tx-2/xps_cpus": "8"}),
            ("eth0 GRO", "slows", {f"{card}/gro_flush_timeout": "20000"}),
        ):
            with self.subTest(name=name, grade=grade):
                found = self.found(self.sound() | mistake)
                self.assertEqual(found.pop("isolation").grade, "note")
                self.assertEqual({other: one.grade for other, one in found.items()}, {name: grade})
                self.assertTrue(found[name].source and found[name].mend)
                self.tearDown_tree()

    def tearDown_tree(self):
        for path in sorted(self.root.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def test_what_is_shown_is_not_called_hidden(self):
        self.grow(trees.bare_metal())
        self.assertNotIn("not shown", self.check()[1])

    def test_the_worst_stands_first(self):
        self.grow(trees.virtual())
        findings = json.loads(self.check("--json")[1])["findings"]
        grades = [GRADES.index(one["grade"]) for one in findings]
        self.assertEqual(grades, sorted(grades))
        stalls = [one["cost_us"][1] for one in findings if one["grade"] == "stalls"]
        self.assertEqual(stalls, sorted(stalls, reverse=True))

    def test_only_the_cores_of_shards_count(self):
        table = self.sound() | trees.idle(3, {"C6": 200})
        found = self.found(table, "0-2")
        self.assertNotIn("idle states", found)
        self.assertEqual(self.found(table, "0,3")["idle states"].cost_us, (0, 200))

    def test_interrupts_on_cores_without_shards_are_well(self):
        table = self.sound()
        for irq in range(40, 44):
            table[f"/proc/irq/{irq}/smp_affinity_list"] = "3"
        self.assertNotIn("eth0 interrupts", self.found(table, "0-2"))
        found = self.found(table, "2-3")["eth0 interrupts"]
        self.assertIn("4 of 4 interrupts go to core 3 of the shards, up to 4 to a core", found.found)

    def test_the_narrowest_group_above_counts(self):
        table = self.sound() | {
            "/proc/self/cgroup": "0::/a/b",
            "/sys/fs/cgroup/a/b/cpu.max": "max 100000",
            "/sys/fs/cgroup/a/cpu.max": "100000 50000",
        }
        found = self.found(table)["CPU quota"]
        self.assertEqual(found.cost_us, (0, 25_000))
        self.assertIn("time of 2 cores for 4 shards", found.found)
        old = self.sound() | {
            "/proc/self/cgroup": "4:cpu,cpuacct:/a\n3:memory:/",
            "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "100000",
            "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
        }
        self.tearDown_tree()
        self.assertEqual(self.found(old)["CPU quota"].cost_us, (0, 75_000))

    def test_a_tree_with_next_to_nothing_in_it_is_no_mistake(self):
        self.grow({f"{trees.CPUS}/online": "0", "/proc/uptime": "1"})
        self.assertEqual(self.check()[0], 0)

    def test_texts_that_are_no_numbers_end_nothing(self):
        for path in list(self.sound()):
            with self.subTest(path=path):
                with contextlib.suppress(Wrong):
                    self.found(self.sound() | {path: "\x00strange ["})


class WrongUse(OnTree):
    def test_is_told_on_one_line(self):
        self.grow(trees.bare_metal())
        for options, said in (
            (["--cores", "0-99"], "cores 0-99 are not all among those of this machine: 0-15"),
            (["--cores", ""], "cores  are not all"),
            (["--cores", "one"], "`one` is no list of cores, as in 0,2-5"),
            (["--interface", "eth9"], "no interface is called eth9: there are eth0, lo"),
            (["--interface", "../eth0"], "no interface is called ../eth0"),
        ):
            with self.subTest(options=options):
                status, told = self.check(*options)
                self.assertEqual(status, 2)
                self.assertTrue(told.startswith(f"host-check: {said}"), told)
                self.assertEqual(told.count("\n"), 1)
        self.assertEqual(ran("host-check", "--root", self.folder)[0], 2)
        status, told = self.check("--speed")
        self.assertEqual(status, 2)
        self.assertEqual(told, "host-check: unrecognized arguments: --speed; see host-check --help\n")

    def test_who_reads_no_more_is_no_mistake(self):
        self.grow(trees.bare_metal())
        command = f"{sys.executable} {SCRIPTS}/host-check --root {self.root} --json | true"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
        self.assertEqual(done.stderr, "")


class Words(unittest.TestCase):
    def test_lists_and_masks_are_read_and_written(self):
        for text, cpus in (("0", (0,)), ("0,2-4", (0, 2, 3, 4)), ("", ())):
            self.assertEqual(cpus_of_list(text), cpus)
            self.assertEqual(list_of_cpus(cpus), text)
        for text, cpus in (("0", ()), ("5", (0, 2)), ("1,00000001", (0, 32)), ("80000000", (31,))):
            self.assertEqual(cpus_of_mask(text), cpus)
            self.assertEqual(mask_of_cpus(cpus), text)

    def test_what_means_the_same_is_the_same(self):
        for path, one, other in (
            ("/sys/x/enabled", "always [madvise] never", "madvise"),
            ("/sys/x/xps_cpus", "00000000,0000000f", "f"),
            ("/proc/irq/1/smp_affinity_list", "0-2", "0,1,2"),
            ("/proc/sys/net/ipv4/tcp_rmem", "1\t2\t3", "1 2 3"),
        ):
            self.assertEqual(meaning(path, one), meaning(path, other))
        self.assertNotEqual(meaning("/sys/x/xps_cpus", "10"), meaning("/sys/x/xps_cpus", "1"))

    def test_times_have_the_unit_that_fits(self):
        told = [told_us(us) for us in (0.05, 2.13, 13.65, 133, 8000, 75_000, 1_000_000)]
        self.assertEqual(told, ["0.05 µs", "2.1 µs", "14 µs", "133 µs", "8 ms", "75 ms", "1 s"])


if __name__ == "__main__":
    unittest.main()
