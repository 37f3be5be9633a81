"""What host-tune has changed, on disk before it changes it, so that all of it can be undone.

The file is replaced as a whole and synced, so it is never half written. What it says is true of one
boot alone: at the next one the kernel has its own values again.
"""

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from . import Wrong

FORMAT = 1
BOOT = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class Kept:
    """One change: made, or about to be."""

    path: str
    old: str  # as it is to be written back
    new: str


class State:
    def __init__(self, path, boot, kept=()):
        self.path, self.boot = Path(path), boot
        self.kept = {change.path: change for change in kept}  # in the order in which they were made

    def keep(self, change):
        self.kept[change.path] = change

    def forget(self, path):
        self.kept.pop(path, None)

    def save(self):
        """On disk when it returns; no file if nothing is left to be undone."""
        if not self.kept:
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)
            return
        text = json.dumps({"format": FORMAT, "boot": self.boot,
                           "changes": [asdict(change) for change in self.kept.values()]}, indent=1)
        beside = self.path.with_name(f"{self.path.name}.new")
        with beside.open("w") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)
        sync_folder(self.path.parent)


def load(path, boot):
    """What is there, and whether it is of another boot; then it holds nothing any more."""
    path = Path(path)
    try:
        raw = json.loads(path.read_text())
        if raw["format"] != FORMAT:
            raise Wrong(f"{path} is of another version of host-tune")
        kept = [Kept(**change) for change in raw["changes"]]
    except FileNotFoundError:
        return State(path, boot), False
    except OSError as error:
        raise Wrong(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise Wrong(f"{path} is no state of host-tune: mend it, or remove it and restart the machine") from None
    if any(not change.path.startswith(("/proc/", "/sys/")) or ".." in change.path for change in kept):
        raise Wrong(f"{path} names files that are none of the kernel's")
    if boot and raw["boot"] != boot:
        return State(path, boot), True
    return State(path, boot, kept), False


@contextlib.contextmanager
def locked(path):
    """One host-tune at a time."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f"{path.name}.lock").open("w")
    except OSError as error:
        raise Wrong(f"{path.parent}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Wrong(f"another host-tune is at work with {path}") from None
        yield


def sync_folder(folder):
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
