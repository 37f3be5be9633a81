"""Changing the machine, and changing it back.

A value is written only where it still is what it is taken for: what somebody else has set in between is
reported and left, unless it is to be overruled. What a change was is on disk before it is made, so also
a half-done apply can be undone; a change that was kept and never made is found by its old value.
"""

from . import checks
from .state import BOOT, Kept, load
from .tree import chosen, meaning


class Tuning:
    """One run of host-tune; `tell` takes a line at a time."""

    def __init__(self, tree, state_path, tell, is_dry=False, is_forced=False):
        self.tree, self.tell, self.is_dry, self.is_forced = tree, tell, is_dry, is_forced
        self.state, is_stale = load(state_path, tree.read(BOOT))
        self.is_well = True  # nothing was refused or left
        if is_stale:
            self.tell(f"{state_path} is of before this machine was started: what it says is undone already")
            if not is_dry:
                self.state.save()

    def apply(self, target):
        planned = [kept for change in checks.changes(checks.findings(target)) if (kept := self.planned(change))]
        if not planned:
            self.tell("nothing to change")
            return
        if self.is_dry:
            for kept in planned:
                self.tell(told(kept.path, chosen(self.tree.read(kept.path)), kept.new))
            return
        for kept in planned:
            self.state.keep(kept)
        self.state.save()
        for kept in planned:
            self.change(kept)
        self.state.save()

    def planned(self, change):
        """What is to be kept of a change: the oldest value wins, whoever applies twice."""
        found = chosen(self.tree.read(change.path))
        kept = self.state.kept.get(change.path)
        if kept is None:
            return Kept(change.path, found, change.new)
        if not self.is_forced and not any(self.means(change.path, found, text) for text in (kept.old, kept.new)):
            self.complain(f"{change.path}: {found} is of somebody else, left (--force sets {change.new})")
            return None
        return Kept(change.path, kept.old, change.new)

    def change(self, kept):
        found = chosen(self.tree.read(kept.path))
        if not self.write(kept.path, kept.new):
            if self.means(kept.path, found, kept.old):
                self.state.forget(kept.path)
            return
        self.tell(told(kept.path, found, kept.new))
        stands = chosen(self.tree.read(kept.path))
        if not self.means(kept.path, stands, kept.new):
            self.complain(f"{kept.path}: {kept.new} was taken for {stands}")
            # What the kernel made of it is what is to be found when it is undone.
            self.state.keep(Kept(kept.path, kept.old, stands))

    def revert(self):
        if not self.state.kept:
            self.tell("nothing to undo")
            return
        for kept in reversed(list(self.state.kept.values())):
            if self.is_undone(kept):
                self.state.forget(kept.path)
        if not self.is_dry:
            self.state.save()

    def is_undone(self, kept):
        found = self.tree.read(kept.path)
        if found is None:
            self.complain(f"{kept.path} is not there any more: nothing to undo in it")
            return True
        found = chosen(found)
        if self.means(kept.path, found, kept.old):
            return True
        if not self.is_forced and not self.means(kept.path, found, kept.new):
            self.complain(f"{kept.path}: {found} is of somebody else, left (--force sets {kept.old})")
            return False
        if not self.is_dry and not self.write(kept.path, kept.old):
            return False
        self.tell(told(kept.path, found, kept.old))
        return True

    def write(self, path, text):
        try:
            self.tree.write(path, text)
        except OSError as error:
            self.complain(f"{path}: {text} was refused: {error.strerror}")
            return False
        return True

    def complain(self, line):
        self.is_well = False
        self.tell(line)

    def means(self, path, text, other):
        return meaning(path, text) == meaning(path, other)


def told(path, old, new):
    return f"{path}: {old} -> {new}"
