"""What is said of a machine: what was found, what it costs, from where that is known, what mends it."""

from dataclasses import dataclass

# From the worst down. A note is worth knowing, and nothing to mend.
GRADES = ("stops", "stalls", "slows", "note")

# CPU of a GET at depth 1, nearly all of it the kernel's TCP (bench/results/2026-11-26-vm): what a core that is
# slower by some share makes longer by that share.
REQUEST_US = 3.9


@dataclass(frozen=True)
class Change:
    """What mends it, in one file."""

    path: str
    new: str


@dataclass(frozen=True)
class Finding:
    name: str
    grade: str
    found: str
    cost_us: tuple[float, float] | None  # least and most that it is likely to add, each time
    each: str  # each time of what
    source: str  # of the estimate
    mend: str
    changes: tuple[Change, ...] = ()

    @property
    def is_to_mend(self):
        return self.grade != "note"

    @property
    def rank(self):
        """Worst first: by grade, then by cost."""
        most = self.cost_us[1] if self.cost_us else 0
        return GRADES.index(self.grade), -most, self.name

    def cost(self):
        """`1 µs to 8 ms`; of what is told apart, so that costs stand in a column."""
        if self.grade == "stops":
            return "does not start"
        if self.cost_us is None:
            return "not known"
        least, most = self.cost_us
        if least == most:
            return told_us(most)
        return f"{told_us(least)} to {told_us(most)}" if least else f"up to {told_us(most)}"

    def as_json(self):
        return {
            "name": self.name, "grade": self.grade, "found": self.found, "cost_us": self.cost_us,
            "each": self.each, "source": self.source, "mend": self.mend,
            "changes": {change.path: change.new for change in self.changes},
        }


def slower(share):
    """Microseconds that a request takes longer on a core that needs `share` more time for everything."""
    return REQUEST_US * share


def told_us(microseconds):
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds:.2g} µs" if microseconds < 100 else f"{microseconds:.0f} µs"
