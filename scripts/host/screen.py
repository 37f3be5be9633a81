"""The findings on one screen, and as JSON."""

import json
from collections import Counter

from . import cores

COLUMNS, ROWS = 120, 40  # of a screen
ROWS_AROUND = 6  # what stands above and below the findings, which have two rows each
COST_COLUMNS = 18
FOUND_MAX = (ROWS - ROWS_AROUND) // 2


def of(target, found):
    """Lines of the screen."""
    yield cut(target.about(), COLUMNS)
    if not found:
        yield "nothing was found that costs latency"
        yield from not_shown(target)
        return
    yield ""
    for finding in found[:FOUND_MAX]:
        mark = "" if finding.is_to_mend else "to know: "
        each = f"{finding.each}; " if finding.each else ""
        yield row(finding.cost(), f"{mark}{finding.found} -> {finding.mend}")
        yield row("", f"  {each}{finding.source}")
    if len(found) > FOUND_MAX:
        yield f"and {len(found) - FOUND_MAX} more, less costly: --json has all"
    yield ""
    yield summary(found)
    yield from not_shown(target)


def not_shown(target):
    """Silence about these would look as if they were well."""
    names = cores.unseen(target)
    if names:
        yield f"not shown by this machine, so not judged: {', '.join(names)}"


def row(cost, text):
    return f"{cost:{COST_COLUMNS}} {cut(text, COLUMNS - COST_COLUMNS - 1)}"


def cut(text, columns):
    return text if len(text) <= columns else text[:columns - 1] + "…"


def summary(found):
    grades = Counter(finding.grade for finding in found)
    to_mend = sum(finding.is_to_mend for finding in found)
    tunable = sum(bool(finding.is_to_mend and finding.changes) for finding in found)
    stops = "; ringfort does not start here" if grades["stops"] else ""
    return f"{to_mend} to mend, {tunable} of them by host-tune; {grades['note']} to know{stops}"


def as_json(target, found):
    return json.dumps({
        "machine": target.about(), "cores": target.cores, "interfaces": target.interfaces,
        "unseen": cores.unseen(target), "findings": [finding.as_json() for finding in found],
    }, indent=2, ensure_ascii=False)
