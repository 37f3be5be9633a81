"""What a server is started with."""

from dataclasses import dataclass
from pathlib import Path

from . import SERVER_CORE

CONNECTIONS_MAX = 16_384  # more than any scenario opens
MEMORY_MIB = 256
ITEM_MIB_MAX = 2  # a value of 1 MiB and what is stored with it


@dataclass(frozen=True)
class Programs:
    """Where what is started is found."""

    ours: Path  # the folder of cargo's release binaries
    given: dict[str, str]  # name: path, of servers.GIVEN

    def path(self, name, otherwise=None):
        return self.given.get(name, otherwise or name)


@dataclass(frozen=True)
class Peering:
    """What one of a group's caches is told of the others."""

    origin: int  # its port
    me: str  # URL
    owners: tuple[str, ...]  # URLs of those that have all keys among them
    keeps: bool = True  # what it loads


@dataclass(frozen=True)
class Launch:
    """One start of one server."""

    programs: Programs
    protocol: str
    port: int
    scratch: Path
    backends: tuple[int, ...] = ()  # their ports
    cores: tuple[int, ...] = (SERVER_CORE,)  # a thread on each
    memory_mib: int = MEMORY_MIB
    item_kib_max: int = ITEM_MIB_MAX * 1024
    keys: int = 0
    peering: Peering | None = None

    @property
    def threads(self):
        return len(self.cores)
