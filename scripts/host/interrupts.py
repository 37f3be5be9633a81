"""The interrupts of a network card's queues, and the cores that take them."""

import re
from collections import Counter
from dataclasses import dataclass

from .target import INTERFACES
from .tree import cpus_of_list

# Queues by what drivers call them: eth0-TxRx-3, virtio2-input.0, mlx5_comp3, ena eth0-Tx-Rx-3, iavf-eth0-TxRx-3,
# i40e-eth0-TxRx-3, bnxt eth0-TxRx-3, gve-ntfy-blk3, idpf-eth0-TxRx-3, nfp-eth0-rxtx-3.
QUEUE = re.compile(r"(?:tx-?rx|rx-?tx|[rt]x|input|output|comp|ntfy\S*?|fp)[-.]?(\d+)$|-(\d+)$", re.I)


@dataclass(frozen=True)
class Line:
    number: int
    name: str
    queue: int


def of_interface(tree, interface):
    """Those of its queues; what a card has besides, to tell of errors and links, is left where it is."""
    own = {int(number) for place in ("device/msi_irqs", "device/../msi_irqs")
           for number in tree.names(f"{INTERFACES}/{interface}/{place}") if number.isdigit()}
    found = []
    for line in tree.lines("/proc/interrupts"):
        number, colon, rest = line.strip().partition(":")
        if not colon or not number.isdigit():
            continue
        name = rest.split()[-1].partition("@")[0] if rest.split() else ""
        is_ours = int(number) in own or (not own and interface in re.split(r"[-:.@]", name))
        queue = QUEUE.search(name)
        if is_ours and queue:
            found.append(Line(int(number), name, int(queue[1] or queue[2])))
    return found


def cores_of(tree, line):
    """Where it goes; the kernel tells of a new place at the next interrupt, so one that is set alone counts first."""
    folder = f"/proc/irq/{line.number}"
    may_go = cpus_of_list(tree.read(f"{folder}/smp_affinity_list"))
    return may_go if len(may_go) == 1 else cpus_of_list(tree.read(f"{folder}/effective_affinity_list")) or may_go


def loads(target, lines):
    """core of a shard: interrupts that go to it; one that may go to many goes to the first."""
    places = [cores_of(target.tree, line)[:1] for line in lines]
    return Counter(cpu for cpus in places for cpu in cpus if cpu in target.cores)


def is_even(target, lines):
    """Whether no shard has more of them than it must: none has any, or each queue's go to one core."""
    found = loads(target, lines)
    if not found:
        return True
    # What a card sends and receives by may have an interrupt each, of the same queue: they belong together.
    queues = Counter(line.queue for line in lines)
    most = max(queues.values()) * -(-len(queues) // len(target.cores))
    return len(found) == min(len(queues), len(target.cores)) and max(found.values()) <= most
