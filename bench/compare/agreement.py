"""Whether generators that asked for the same load report the same, and if not, why."""

from statistics import median

from .generators import SATURATED, Report
from .measure import DISTURBED

TOLERANCE = 0.10
STEP_US = 8  # latencies of both others come in steps of so much, as theirs are rounded to three digits of a longer scale
COMPARED = {"requests_per_s": "rate", "p50_us": "p50", "p99_us": "p99"}
OURS = "ringfort-bench"


def medians(reports):
    """One report of the medians of several."""
    fields = Report.__dataclass_fields__
    return Report(**{name: median(getattr(report, name) for report in reports) for name in fields})


def differences(ours, theirs):
    """What differs by more than the tolerance, with ours as a multiple of theirs."""
    told = {}
    for name, what in COMPARED.items():
        mine, other = getattr(ours, name), getattr(theirs, name)
        is_step = name.endswith("_us") and abs(mine - other) <= STEP_US
        if not is_step and not 1 / (1 + TOLERANCE) <= mine / other <= 1 + TOLERANCE:
            told[what] = mine / other
    return told


def counted(load, report):
    """Of the time that requests are in flight, the share that its latencies count: by Little's law the rate times the mean
    is connections times depth, if all is in flight that was asked for."""
    return report.requests_per_s * report.mean_us / 1e6 / (load.connections * load.depth)


def verdict(load, ours, name, theirs):
    """Whether two agree as far as they measure the same thing.

    A generator that is full measures itself. A server that is full has one rate and so, by Little's law, one mean latency for
    all who count the same; the percentiles around it are those of the order in which a generator asks. Where neither is full
    and several requests are in flight, memtier sends one for each reply, and the others a batch when all replies are there.
    """
    differing = differences(ours, theirs)
    told = ", ".join(f"{what} {ratio:.2f}x" for what, ratio in differing.items())
    if not differing:
        return "agrees"
    waiting = max(ours.server_waiting, theirs.server_waiting)
    if waiting > DISTURBED:
        return f"disturbed: the server waited {waiting:.0%} of the time for its core ({told})"
    full = [who for who, report in ((OURS, ours), (name, theirs)) if report.generator_utilisation > SATURATED]
    if full:
        return f"not the same thing: {' and '.join(full)} full ({told})"
    is_full = min(ours.server_utilisation, theirs.server_utilisation) > SATURATED
    if is_full and "rate" not in differing:
        return f"rate agrees; the server is full ({told})"
    if not is_full and load.depth > 1 and name == "memtier":
        return f"not the same thing: batches here, one for each reply there ({told})"
    return f"DIFFERS: ours is {told}"


def table(rows):
    """`rows`: (server, load, {generator: [Report, ...]}), ours among them. Gives lines, and the verdicts."""
    lines = ["| server, load | generator | requests/s | p50 µs | p99 µs | in flight counted | CPU of the server a request "
             "| its core | generator's core | |",
             "|---|---|--:|--:|--:|--:|--:|--:|--:|---|"]
    verdicts = []
    for server, load, reports in rows:
        ours = medians(reports[OURS])
        for name, several in reports.items():
            one = medians(several)
            said = "" if name == OURS else verdict(load, ours, name, one)
            if said:
                verdicts.append(said)
            lines.append(f"| {server}, {load} | {name} | {one.requests_per_s:,.0f} | {one.p50_us:.0f} "
                         f"| {one.p99_us:.0f} | {counted(load, one):.0%} | {one.server_cpu_ns:,.0f} ns "
                         f"| {one.server_utilisation:.0%} | {one.generator_utilisation:.0%} | {said} |")
    return lines, verdicts


def summary(verdicts):
    """One line, and whether nothing stands against agreement: none differs, none was disturbed, and some agree."""
    kinds = {"agree": ("agrees", "rate agrees"), "differ": ("DIFFERS",), "were disturbed": ("disturbed",),
             "do not measure the same thing": ("not the same",)}
    counts = {kind: sum(said.startswith(starts) for said in verdicts) for kind, starts in kinds.items()}
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return told, counts["agree"] > 0 and not counts["differ"] and not counts["were disturbed"]
