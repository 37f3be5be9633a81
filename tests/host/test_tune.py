"""host-tune: what it changes is what host-check complains of, and all of it comes back, whatever happens between."""

import errno
import json
import os
import unittest

import trees
from scripts import OnTree, ran

from host.target import of_options
from host.tree import Tree
from host.tuning import Tuning

SOMAXCONN = "/proc/sys/net/core/somaxconn"
GOVERNOR = f"{trees.CPUS}/cpu3/cpufreq/scaling_governor"
BOOT = "/proc/sys/kernel/random/boot_id"
TUNABLE = "host-tune"


class Ending(Exception):
    """The process ends here: not what host-tune catches."""


class RefusingTree(Tree):
    """As the kernel does: `refuses` are paths with an error each, and after `writes_max` writes the process ends."""

    def __init__(self, root, refuses=None, writes_max=None):
        super().__init__(root)
        self.refuses, self.writes_left = refuses or {}, writes_max

    def write(self, path, text):
        if path in self.refuses:
            raise OSError(self.refuses[path], os.strerror(self.refuses[path]))
        if self.writes_left == 0:
            raise Ending
        if self.writes_left is not None:
            self.writes_left -= 1
        super().write(path, text)


class Options:
    def __init__(self, root, cores=None, interrupts="spread"):
        self.root, self.cores, self.interface, self.interrupts = root, cores, None, interrupts


class ApplyAndRevert(OnTree):
    def test_of_every_machine_all_comes_back(self):
        for name, table in trees.ALL.items():
            with self.subTest(machine=name):
                self.root = self.folder / name
                self.grow(table())
                before = self.everything()
                status, said = self.tune("apply")
                self.assertEqual(status, 0, said)
                changes = [line for line in said.splitlines() if " -> " in line]
                self.assertEqual(len(changes), len(said.splitlines()))
                after = self.everything()
                self.assertEqual(len(changes), sum(before[path] != after[path] for path in before))
                status, undone = self.tune("revert")
                self.assertEqual(status, 0, undone)
                self.assertEqual(undone.splitlines(), [turned(line) for line in reversed(changes)])
                self.assertEqual(words(self.everything()), words(before))
                self.assertFalse(self.state.exists(), "nothing is left to be undone")
                self.assertEqual(self.tune("revert"), (0, "nothing to undo\n"))

    def test_nothing_is_left_that_it_could_mend(self):
        for name, table in trees.ALL.items():
            for options in ((), ("--interrupts", "away", "--cores", "0-2")):
                with self.subTest(machine=name, options=options):
                    self.root = self.folder / f"{name}{len(options)}"
                    self.grow(table())
                    cores = options[2:]
                    self.assertIn(TUNABLE, self.check(*cores)[1].partition("\n\n")[2].rpartition("\n\n")[0])
                    self.tune("apply", *options)
                    self.assertNotIn(f"-> {TUNABLE}", self.check(*cores)[1])
                    self.assertEqual(self.tune("apply", *options), (0, "nothing to change\n"))
                    self.tune("revert")

    def test_each_queue_gets_a_core_of_its_own(self):
        self.grow(trees.bare_metal())
        self.tune("apply", "--cores", "0-7")
        for queue in range(8):
            self.assertEqual(self.text(f"/proc/irq/{120 + queue}/smp_affinity_list"), str(queue))
            self.assertEqual(self.text(f"/sys/class/net/eth0/queues/tx-{queue}/xps_cpus"), f"{1 << queue:x}")
        self.tune("revert")
        self.assertEqual(self.tune("apply", "--cores", "0-7", "--interrupts", "leave")[0], 0)
        self.assertEqual(self.text("/proc/irq/121/smp_affinity_list"), "0-15")
        self.tune("revert")
        self.tune("apply", "--cores", "0-7", "--interrupts", "away")
        self.assertEqual([self.text(f"/proc/irq/{120 + queue}/smp_affinity_list") for queue in range(8)],
                         [str(core) for core in range(8, 16)])

    def test_a_dry_run_changes_nothing(self):
        self.grow(trees.bare_metal())
        before = self.everything()
        status, said = self.tune("apply", "--dry-run")
        self.assertEqual(status, 0)
        self.assertIn(f"{SOMAXCONN}: 128 -> 4096\n", said)
        self.assertIn("/sys/kernel/mm/transparent_hugepage/enabled: never -> madvise\n", said)
        self.assertEqual(self.everything(), before)
        self.assertFalse(self.state.parent.exists())
        self.assertEqual(self.tune("apply")[1], said, "what was announced is done")
        tuned, kept = self.everything(), self.state.read_text()
        self.assertIn(f"{SOMAXCONN}: 4096 -> 128\n", self.tune("revert", "--dry-run")[1])
        self.assertEqual((self.everything(), self.state.read_text()), (tuned, kept))

    def test_a_larger_value_is_left(self):
        self.grow(trees.bare_metal() | {SOMAXCONN: "65535"})
        self.tune("apply")
        self.assertEqual(self.text(SOMAXCONN), "65535")

    def test_the_preference_changes_before_the_governor_and_back_after_it(self):
        self.grow(trees.bare_metal())
        said = self.tune("apply")[1].splitlines()
        preference = GOVERNOR.replace("scaling_governor", "energy_performance_preference")

        def place(path):
            return next(number for number, line in enumerate(said) if line.startswith(f"{path}:"))

        self.assertLess(place(preference), place(GOVERNOR))
        said = self.tune("revert")[1].splitlines()
        self.assertLess(place(GOVERNOR), place(preference))


class Interrupted(OnTree):
    def tuning(self, tree, **how):
        self.said = []
        return Tuning(tree, self.state, self.said.append, **how)

    def test_at_any_point_all_comes_back(self):
        self.grow(trees.numa())
        self.state.parent.mkdir()
        before = words(self.everything())
        writes_max = 0
        while True:
            try:
                self.tuning(RefusingTree(self.root, writes_max=writes_max)).apply(of_options(Options(self.root)))
                break
            except Ending:
                pass
            self.assertTrue(self.state.exists())
            # The end may come while it is undone, too.
            try:
                self.tuning(RefusingTree(self.root, writes_max=writes_max // 2)).revert()
            except Ending:
                pass
            tuning = self.tuning(Tree(self.root))
            tuning.revert()
            self.assertTrue(tuning.is_well, self.said)
            self.assertEqual(words(self.everything()), before)
            writes_max += 1
        self.assertGreater(writes_max, 3)

    def test_an_apply_that_goes_on_keeps_the_oldest_values(self):
        self.grow(trees.bare_metal())
        self.state.parent.mkdir()
        before = words(self.everything())
        with self.assertRaises(Ending):
            self.tuning(RefusingTree(self.root, writes_max=5)).apply(of_options(Options(self.root)))
        self.assertEqual(self.tune("apply", "--cores", "0-3")[0], 0)
        self.assertEqual(self.tune("apply", "--cores", "0-7")[0], 0)
        self.assertEqual(self.tune("revert")[0], 0)
        self.assertEqual(words(self.everything()), before)

    def test_what_is_refused_is_told_and_forgotten(self):
        self.grow(trees.bare_metal())
        self.state.parent.mkdir()
        path = "/proc/irq/121/smp_affinity_list"
        tuning = self.tuning(RefusingTree(self.root, refuses={path: errno.EIO}))
        tuning.apply(of_options(Options(self.root)))
        self.assertFalse(tuning.is_well)
        self.assertIn(f"{path}: 1 was refused: Input/output error", self.said)
        self.assertNotIn(path, self.state.read_text())
        self.assertEqual(self.text("/proc/irq/122/smp_affinity_list"), "2", "the others are changed")
        self.assertEqual(self.tune("revert")[0], 0)

    def test_what_cannot_be_undone_is_kept(self):
        self.grow(trees.bare_metal())
        self.tune("apply")
        tuning = self.tuning(RefusingTree(self.root, refuses={GOVERNOR: errno.EBUSY}))
        tuning.revert()
        self.assertFalse(tuning.is_well)
        kept = json.loads(self.state.read_text())["changes"]
        self.assertEqual([change["path"] for change in kept], [GOVERNOR])
        self.assertEqual(self.tune("revert")[0], 0)
        self.assertEqual(self.text(GOVERNOR), "powersave")


class SomebodyElse(OnTree):
    def setUp(self):
        super().setUp()
        self.grow(trees.bare_metal())
        self.tune("apply")
        self.set(SOMAXCONN, "9000")

    def test_is_reported_and_left(self):
        status, said = self.tune("revert")
        self.assertEqual(status, 1)
        self.assertIn(f"{SOMAXCONN}: 9000 is of somebody else, left (--force sets 128)\n", said)
        self.assertEqual(self.text(SOMAXCONN), "9000")
        self.assertEqual(self.text(GOVERNOR), "powersave", "the others are undone")
        self.assertEqual(self.tune("revert")[0], 1, "it is still known")

    def test_is_overruled_by_force(self):
        self.assertEqual(self.tune("revert", "--force")[0], 0)
        self.assertEqual(self.text(SOMAXCONN), "128")
        self.assertFalse(self.state.exists())

    def test_is_left_by_a_second_apply(self):
        self.set(SOMAXCONN, "1000")
        status, said = self.tune("apply")
        self.assertEqual(status, 1)
        self.assertIn(f"{SOMAXCONN}: 1000 is of somebody else, left (--force sets 4096)\n", said)
        self.assertEqual(self.tune("apply", "--force")[0], 0)
        self.assertEqual(self.text(SOMAXCONN), "4096")
        self.tune("revert")
        self.assertEqual(self.text(SOMAXCONN), "128", "as it was before the first")

    def test_who_writes_the_same_otherwise_has_changed_nothing(self):
        self.tune("revert", "--force")
        self.tune("apply")
        self.set("/sys/class/net/eth0/queues/tx-3/xps_cpus", "00000000,00000808")
        self.set("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never")
        self.assertEqual(self.tune("revert")[0], 0)

    def test_a_file_that_is_gone_is_no_hindrance(self):
        self.set(SOMAXCONN, "4096")
        (self.root / GOVERNOR.lstrip("/")).unlink()
        status, said = self.tune("revert")
        self.assertEqual(status, 1)
        self.assertIn(f"{GOVERNOR} is not there any more: nothing to undo in it\n", said)
        self.assertFalse(self.state.exists())


class State(OnTree):
    def test_of_another_boot_says_nothing(self):
        self.grow(trees.bare_metal())
        self.tune("apply")
        # The kernel has its own values again, and one of them is what was set.
        self.grow(trees.bare_metal() | {BOOT: "another", SOMAXCONN: "4096"})
        status, said = self.tune("revert")
        self.assertEqual(status, 0)
        self.assertIn("is of before this machine was started: what it says is undone already\nnothing to undo\n", said)
        self.assertEqual(self.text(SOMAXCONN), "4096")
        self.assertFalse(self.state.exists())

    def test_that_is_none_is_refused(self):
        self.grow(trees.bare_metal())
        self.state.parent.mkdir()
        escape = {"format": 1, "boot": trees.bare_metal()[BOOT],
                  "changes": [{"path": "/proc/../etc/passwd", "old": "x", "new": "y"}]}
        for text in ("", "[]", "{\"format\": 2, \"changes\": []}", "{\"format\": 1, \"changes\": [{}]}",
                     json.dumps(escape)):
            with self.subTest(text=text):
                self.state.write_text(text)
                before = self.everything()
                for action in ("apply", "revert"):
                    status, said = self.tune(action)
                    self.assertEqual(status, 2)
                    self.assertTrue(said.startswith("host-tune: ") and said.count("\n") == 1, said)
                self.assertEqual(self.everything(), before)
                self.assertEqual(self.state.read_text(), text)

    def test_two_at_a_time_are_one_too_many(self):
        from host.state import locked

        self.grow(trees.bare_metal())
        with locked(self.state):
            status, said = self.tune("apply")
        self.assertEqual(status, 2)
        self.assertIn("another host-tune is at work", said)
        self.assertEqual(self.text(SOMAXCONN), "128")


class WrongUse(OnTree):
    def test_is_told(self):
        self.grow(trees.bare_metal())
        for options in (["undo"], [], ["apply", "--interrupts", "off"]):
            self.assertEqual(ran("host-tune", *options, "--root", self.root)[0], 2)
        status, said = self.tune("apply", "--interrupts", "away")
        self.assertEqual(status, 2)
        self.assertIn("every core has a shard", said)


def turned(line):
    path, _, change = line.partition(": ")
    old, _, new = change.partition(" -> ")
    return f"{path}: {new} -> {old}"


def words(files):
    """Of a choice the word in brackets: the kernel puts those of a fake tree back, a file does not."""
    return {path: text.partition("[")[2].partition("]")[0] or text.strip() for path, text in files.items()}


if __name__ == "__main__":
    unittest.main()
