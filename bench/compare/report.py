"""Medians, tables, and what is said of the targets."""

import statistics

from . import CONNECTIONS, KEYS, VALUE_BYTES
from .targets import verdicts


def summarise(options, scenarios, absent, rows, failures):
    """The summary, and whether no target is missed."""
    medians = median_rows(rows)
    lines = [
        "# Comparison",
        "",
        f"Medians of {options.rounds} interleaved rounds of {options.seconds:g} s; {CONNECTIONS} "
        f"connections, {KEYS} keys, {VALUE_BYTES}-byte values, closed loop. CPU is the server's alone; "
        "its ratio to the floor is taken within each round. A proxy's backends share the "
        "generator's core.",
    ]
    for scenario in scenarios:
        lines += ["", f"## {scenario.name}", "", scenario.about]
        for (protocol, load), table in tables(scenario, medians):
            lines += ["", f"### {scenario.name}: {protocol} {load}", "", *table_lines(table)]
    if absent:
        lines += ["", "## Not measured", "", *[f"* {line}" for line in absent]]
    if failures:
        lines += ["", "## Failed", "", *[f"* {failure}" for failure in failures]]
    judged = verdicts(scenarios, medians)
    lines += ["", "## Targets", "", *[f"* {verdict}: {text}" for verdict, text in judged], ""]
    return "\n".join(lines), all(verdict != "FAIL" for verdict, _ in judged)


def median_rows(rows):
    groups = {}
    for row in rows:
        place = tuple(row[column] for column in ("scenario", "protocol", "load", "depth", "server"))
        groups.setdefault(place, []).append(row)
    medians = {}
    for place, group in groups.items():
        median = {}
        for column in ("requests_per_s", "server_cpu_ns_per_request", "ratio_to_floor",
                       "p50_us", "p99_us", "p999_us"):
            known = [row[column] for row in group if row[column] != ""]
            median[column] = statistics.median(known) if known else None
        medians[place] = median
    return medians


def tables(scenario, medians):
    found = {}
    for (name, protocol, load, depth, server), row in medians.items():
        if name == scenario.name:
            found.setdefault((protocol, load), []).append((depth, server, row))
    return found.items()


def table_lines(table):
    yield "| depth | server | requests/s | CPU ns/request | × floor | p50 µs | p99 µs | p99.9 µs |"
    yield "|--:|---|--:|--:|--:|--:|--:|--:|"
    for depth, server, row in table:
        ratio = "" if row["ratio_to_floor"] is None else f"{row['ratio_to_floor']:.2f}"
        yield (f"| {depth} | {server} | {row['requests_per_s']:,.0f} "
               f"| {row['server_cpu_ns_per_request']:,.0f} | {ratio} "
               f"| {row['p50_us']:,.0f} | {row['p99_us']:,.0f} | {row['p999_us']:,.0f} |")
