"""Medians with their spread, tables, doubts, and what is said of the targets."""

import statistics

from .doubts import doubts
from .measure import PLACE
from .scenario import AXES
from .servers import RIVALS
from .targets import verdicts

MEASURED = ("requests_per_s", "server_cpu_ns_per_request", "ratio_to_floor", "ratio_to_best",
            "p50_us", "p99_us", "p999_us")
# axis of a scenario: column of a row, what stands above it
AXIS_COLUMNS = {"depths": ("depth", "depth"), "connections": ("connections", "connections"),
                "keys": ("keys", "keys"), "value_bytes": ("value_bytes", "value bytes")}


def summarise(options, scenarios, absent, rows, failures):
    """The summary, and whether no target is missed."""
    medians = median_rows(with_ratio_to_best(rows))
    lines = [
        "# Comparison",
        "",
        f"Medians of {options.rounds} interleaved rounds of {options.seconds:g} s, in brackets the least and the most. "
        "CPU is the server's alone; its ratios to the floor and to the cheapest rival are taken within each "
        "round. A proxy's backends share the generator's core. `@rate` is an open loop, whose latencies count "
        "from when a request was to start; the others are closed loops.",
    ]
    for scenario in scenarios:
        lines += ["", f"## {scenario.name}", "", scenario.about, "", setting(scenario)]
        for (protocol, load), table in tables(scenario, medians):
            lines += ["", f"### {scenario.name}: {protocol} {load}", "", *table_lines(scenario, table)]
    for title, said in (("Not measured", absent), ("Failed", failures),
                        ("Doubts", doubts(scenarios, rows, medians))):
        if said:
            lines += ["", f"## {title}", "", *[f"* {line}" for line in said]]
    judged = verdicts(scenarios, medians)
    lines += ["", "## Targets", "", *[f"* {verdict}: {text}" for verdict, text in judged], ""]
    return "\n".join(lines), all(verdict != "FAIL" for verdict, _ in judged)


def setting(scenario):
    """What all points of a scenario have in common."""
    told = [f"{count} {noun}" for axis, noun in (("connections", "connections"), ("keys", "keys"),
                                                 ("value_bytes", "bytes a value"))
            if len(values := getattr(scenario, axis)) == 1 for count in values]
    threads = "one thread" if scenario.shards == 1 else f"{scenario.shards} threads"
    return ", ".join([*told, f"{threads} for each server", f"{scenario.memory_mib} MiB"]) + "."


def with_ratio_to_best(rows):
    """CPU in times of the cheapest rival's at the same place in the same round."""
    best = {}
    for row in rows:
        if row["server"] in RIVALS:
            place = beside(row)
            best[place] = min(best.get(place, float("inf")), row["server_cpu_ns_per_request"])
    return [{**row, "ratio_to_best": row["server_cpu_ns_per_request"] / best[beside(row)] if beside(row) in best else ""}
            for row in rows]


def beside(row):
    return row["round"], *[row[column] for column in PLACE if column != "server"]


def median_rows(rows):
    """place: column: (median, least, most); None where nothing is known."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in PLACE), []).append(row)
    return {place: {column: spread([row[column] for row in group if row[column] != ""]) for column in MEASURED}
            for place, group in groups.items()}


def spread(values):
    return (statistics.median(values), min(values), max(values)) if values else None


def tables(scenario, medians):
    found = {}
    for place, row in medians.items():
        where = dict(zip(PLACE, place))
        if where["scenario"] == scenario.name:
            found.setdefault((where["protocol"], where["load"]), []).append((where, row))
    return found.items()


def table_lines(scenario, table):
    axes = [AXIS_COLUMNS[axis] for axis in AXES if axis == "depths" or len(getattr(scenario, axis)) > 1]
    heads = [head for _, head in axes]
    yield (f"| {' | '.join(heads)} | server | requests/s | CPU ns/request | × floor | × best rival "
           "| p50 µs | p99 µs | p99.9 µs |")
    yield f"|{'--:|' * len(heads)}---|--:|--:|--:|--:|--:|--:|--:|"
    for where, row in table:
        cells = [str(where[column]) for column, _ in axes] + [where["server"]]
        cells += [told(row["requests_per_s"], 0), told(row["server_cpu_ns_per_request"], 0)]
        cells += [told(row[column], 2, is_short=True) for column in ("ratio_to_floor", "ratio_to_best")]
        cells += [told(row[column], 0, is_short=True) for column in ("p50_us", "p99_us", "p999_us")]
        yield f"| {' | '.join(cells)} |"


def told(spread_of, places, is_short=False):
    if spread_of is None:
        return ""
    median, least, most = (f"{value:,.{places}f}" for value in spread_of)
    return median if is_short or least == most else f"{median} [{least}–{most}]"

