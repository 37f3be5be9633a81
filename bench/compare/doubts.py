"""Reasons not to take a number at its word: the generator's, and those that only many rounds show."""

import os
import re

from .measure import DISTURBED, PLACE

SPREAD_MAX = 0.10  # of the median, between the least and the most CPU time of a request


def doubts(scenarios, rows, medians):
    found = [f"{scenario.name}: the generator shares core {scenario.generator_core} with the server, "
             f"for {len(os.sched_getaffinity(0))} cores are too few: only CPU per request means anything"
             for scenario in scenarios if scenario.generator_core in scenario.server_cores]
    found += grouped(of_rows(rows))
    found += grouped(of_spreads(medians))
    return found


def of_rows(rows):
    for row in rows:
        who = f"{row['scenario']} {row['server']}"
        for warning in row.get("warnings", ()):
            yield who, warning
        for side in ("server", "generator"):
            waiting = row[f"{side}_waiting"]
            if waiting and waiting > DISTURBED and not row.get("warnings"):
                yield who, f"something else had the {side}'s core for {waiting:.0%} of the time"


def of_spreads(medians):
    for place, row in medians.items():
        where = dict(zip(PLACE, place))
        median, least, most = row["server_cpu_ns_per_request"]
        if median and (most - least) / median > SPREAD_MAX:
            yield f"{where['scenario']} {where['server']}", \
                f"CPU per request of {where['load']} differs by {(most - least) / median:.0%} between rounds"


def grouped(said):
    """One line for what is said of a server again and again, with other numbers."""
    groups = {}
    for who, text in said:
        groups.setdefault((who, re.sub(r"\d[\d.,]*", "#", text)), []).append(text)
    for (who, _), texts in groups.items():
        times = f", {len(texts)} times, first" if len(texts) > 1 else ""
        yield f"{who}{times}: {texts[0]}"
