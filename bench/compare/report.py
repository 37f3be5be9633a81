"""Medians with their spread, tables, doubts, and what is said of the targets."""

import statistics

from .doubts import doubts
from .measure import PLACE
from .scenario import AXES
from .servers import RIVALS
from .targets import verdicts

MEASURED = ("requests_per_s", "server_cpu_ns_per_request", "ratio_to_floor", "ratio_to_best",
            "owner_cpu_ns_per_request", "origin_per_1000", "peer_per_1000", "joined_per_1000", "resident_mib",
            "p50_us", "p99_us", "p999_us")
# axis of a scenario: column of a row, what stands above it
AXIS_COLUMNS = {"depths": ("depth", "depth"), "connections": ("connections", "connections"),
                "keys": ("keys", "keys"), "value_bytes": ("value_bytes", "value bytes")}

# Columns of those scenarios that know them.
MORE = {"owner_cpu_ns_per_request": ("owner's CPU ns/request", 0), "origin_per_1000": ("asked of the origin", 1),
        "peer_per_1000": ("asked of peers", 1), "joined_per_1000": ("joined", 1), "resident_mib": ("resident MiB", 0)}


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
    return {place: {column: spread([row[column] for row in group if row.get(column, "") != ""])
                    for column in MEASURED}
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
    more = {column: told_as for column, told_as in MORE.items() if any(row[column] for _, row in table)}
    yield " | ".join([f"| {' | '.join(heads)} | server | requests/s | CPU ns/request", "× floor", "× best rival",
                      *[head for head, _ in more.values()], "p50 µs", "p99 µs", "p99.9 µs |"])
    yield f"|{'--:|' * len(heads)}---|{'--:|' * (7 + len(more))}"
    for where, row in table:
        cells = [str(where[column]) for column, _ in axes] + [where["server"]]
        cells += [told(row["requests_per_s"], 0), told(row["server_cpu_ns_per_request"], 0)]
        cells += [told(row[column], 2, is_short=True) for column in ("ratio_to_floor", "ratio_to_best")]
        cells += [told(row[column], places, is_short=True) for column, (_, places) in more.items()]
        cells += [told(row[column], 0, is_short=True) for column in ("p50_us", "p99_us", "p999_us")]
        yield f"| {' | '.join(cells)} |"


def told(spread_of, places, is_short=False):
    if spread_of is None:
        return ""
    median, least, most = (f"{value:,.{places}f}" for value in spread_of)
    return median if is_short or least == most else f"{median} [{least}–{most}]"

