"""Files of the kernel below a root: `/`, or a folder that looks like it.

Paths are as on the machine (`/proc/…`, `/sys/…`) wherever the root is, so what is said and kept of a
fake tree and of a real one is the same.
"""

import os
from pathlib import Path

from . import Wrong

MASK_GROUP_BITS = 32  # masks of CPUs are written in groups of so many, with commas between


class Tree:
    def __init__(self, root):
        self.root = Path(root)
        if not (self.root / "proc").is_dir() or not (self.root / "sys").is_dir():
            raise Wrong(f"{root} has no proc and sys")

    def place(self, path):
        return self.root / path.lstrip("/")

    def read(self, path):
        """The text without the blanks around it; None where it is not there or may not be read."""
        try:
            return self.place(path).read_text(errors="replace").strip()
        except OSError:
            return None

    def number(self, path):
        try:
            return int(self.read(path))
        except (TypeError, ValueError):
            return None

    def lines(self, path):
        return (self.read(path) or "").splitlines()

    def names(self, path):
        """What is in a folder, in the order of their numbers where names have some."""
        try:
            return sorted(os.listdir(self.place(path)), key=by_number)
        except OSError:
            return []

    def is_there(self, path):
        return self.place(path).exists()

    def write(self, path, text):
        """One write(2), as the kernel wants it; OSError if it refuses."""
        descriptor = os.open(self.place(path), os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, f"{text}\n".encode())
        finally:
            os.close(descriptor)


def by_number(name):
    digits = "".join(letter for letter in name if letter.isdigit())
    return int(digits or 0), name


def cpus_of_list(text):
    """`0,2-5` as a sorted tuple."""
    cpus = set()
    for part in filter(None, (text or "").replace("\n", "").split(",")):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise Wrong(f"`{text}` is no list of cores, as in 0,2-5")
        cpus.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(cpus))


def named(cpus):
    """`core 3`, `cores 0-3`."""
    return f"core{'' if len(cpus) == 1 else 's'} {list_of_cpus(cpus)}"


def list_of_cpus(cpus):
    """The other way round."""
    parts, run = [], []
    for cpu in [*sorted(cpus), None]:
        if run and cpu != run[-1] + 1:
            parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
            run = []
        run.append(cpu)
    return ",".join(parts)


def cpus_of_mask(text):
    """`00000001,00000003` as a tuple."""
    try:
        bits = int((text or "0").replace(",", ""), 16)
    except ValueError:
        return ()
    return tuple(cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1)


def mask_of_cpus(cpus):
    bits = sum(1 << cpu for cpu in set(cpus))
    groups = []
    while bits or not groups:
        groups.append(bits & (1 << MASK_GROUP_BITS) - 1)
        bits >>= MASK_GROUP_BITS
    first, *rest = reversed(groups)
    return ",".join([f"{first:x}", *[f"{group:08x}" for group in rest]])


def chosen(text):
    """The word that counts: of `always [madvise] never` that in brackets, else all of it."""
    text = (text or "").strip()
    _, bracket, after = text.partition("[")
    return after.partition("]")[0] if bracket else text


def meaning(path, text):
    """What two texts of one file must share to mean the same; the kernel writes some otherwise than they were written."""
    name = path.rsplit("/", 1)[-1]
    if name.endswith("_cpus") or name == "smp_affinity":
        return cpus_of_mask(text)
    if name.endswith("_list"):
        return cpus_of_list(text)
    return " ".join(chosen(text).split())
