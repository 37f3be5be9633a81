"""What of the machine ringfort is to run on: its cores, its interfaces, and how they are laid out."""

from dataclasses import dataclass

from . import Wrong
from .tree import Tree, cpus_of_list, list_of_cpus

CPUS = "/sys/devices/system/cpu"
NODES = "/sys/devices/system/node"
INTERFACES = "/sys/class/net"

# What becomes of a network card's interrupts: one queue for each shard's core, all on other cores, as they are.
SPREAD, AWAY, LEAVE = INTERRUPTS = ("spread", "away", "leave")


@dataclass(frozen=True)
class Target:
    tree: Tree
    online: tuple[int, ...]
    cores: tuple[int, ...]  # one shard each
    interfaces: tuple[str, ...]
    interrupts: str = SPREAD

    @property
    def others(self):
        """Cores without a shard."""
        return tuple(cpu for cpu in self.online if cpu not in self.cores)

    @property
    def is_virtual(self):
        flags = next((line for line in self.tree.lines("/proc/cpuinfo") if line.startswith("flags")), "")
        return "hypervisor" in flags.split() or self.tree.is_there("/sys/hypervisor/type")

    def nodes(self):
        """node: its CPUs, of those that have any."""
        found = {}
        for name in self.tree.names(NODES):
            cpus = cpus_of_list(self.tree.read(f"{NODES}/{name}/cpulist") if is_node(name) else "")
            if cpus:
                found[int(name[4:])] = cpus
        return found

    def nodes_of_cores(self):
        """The nodes that shards are on."""
        return [node for node, cpus in self.nodes().items() if set(cpus) & set(self.cores)]

    def siblings(self, cpu):
        """All hardware threads of the CPU's core, itself included."""
        return cpus_of_list(self.tree.read(f"{CPUS}/cpu{cpu}/topology/thread_siblings_list")) or (cpu,)

    def about(self):
        """The machine in a line."""
        nodes = max(len(self.nodes()), 1)
        kind = "virtual" if self.is_virtual else "bare metal"
        return (f"Linux {self.tree.read('/proc/sys/kernel/osrelease') or 'unknown'}, {kind}, "
                f"{count(len(self.online), 'CPU')}, {count(nodes, 'node')}; "
                f"shards on {list_of_cpus(self.cores)}; "
                f"{', '.join(self.interfaces) or 'no network card that is up'}")


def of_options(options):
    """The target that a command line asks for."""
    tree = Tree(options.root)
    online = cpus_of_list(tree.read(f"{CPUS}/online"))
    if not online:
        raise Wrong(f"{options.root} does not say which CPUs there are")
    asked = options.cores is not None
    cores = cpus_of_list(options.cores) if asked else allowed(tree, online)
    if not cores or set(cores) - set(online):
        raise Wrong(f"cores {options.cores} are not all among those of this machine: {list_of_cpus(online)}")
    interfaces = tuple(options.interface or physical(tree))
    for name in interfaces:
        if "/" in name or not tree.is_there(f"{INTERFACES}/{name}"):
            raise Wrong(f"no interface is called {name}: there are {', '.join(tree.names(INTERFACES))}")
    target = Target(tree, online, cores, interfaces, getattr(options, "interrupts", SPREAD))
    if target.interrupts == AWAY and not target.others:
        raise Wrong("every core has a shard: leave some out with --cores, or have interrupts spread")
    return target


def add_options(parser):
    parser.add_argument("--root", default="/", metavar="DIR", help="where proc and sys are (default: /)")
    parser.add_argument("--cores", metavar="LIST", help="cores of the shards, as in 0,2-5 (default: all allowed)")
    parser.add_argument("--interface", action="append", metavar="IF",
                        help="network card that clients come by; may be repeated (default: all that are up)")


def allowed(tree, online):
    """As ringfort takes them without --cores."""
    for line in tree.lines("/proc/self/status"):
        name, _, value = line.partition(":")
        if name == "Cpus_allowed_list":
            return tuple(cpu for cpu in cpus_of_list(value) if cpu in online)
    return online


def physical(tree):
    """Interfaces with a device that are up."""
    return [name for name in tree.names(INTERFACES)
            if tree.is_there(f"{INTERFACES}/{name}/device")
            and tree.read(f"{INTERFACES}/{name}/operstate") == "up"]


def is_node(name):
    return name.startswith("node") and name[4:].isdigit()


def count(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"
