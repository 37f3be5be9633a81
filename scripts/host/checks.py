"""All that is looked at."""

from . import cores, kernel, limits, memory, network


def findings(target):
    """Worst first."""
    found = [finding for look in (kernel, limits, cores, memory, network) for finding in look.findings(target)]
    return sorted(found, key=lambda finding: finding.rank)


def changes(found):
    """What mends, of all that is to be mended, in an order that the kernel takes."""
    return [change for finding in found if finding.is_to_mend for change in finding.changes]
