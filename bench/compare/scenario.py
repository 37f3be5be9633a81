"""Scenarios: which servers get which load, read from bench/scenarios/*.toml."""

import itertools
import os
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from . import CONNECTIONS, GENERATOR_CORE, KEYS, PROTOCOLS, SERVER_CORE, VALUE_BYTES, Failed
from .launch import MEMORY_MIB
from .servers import SERVERS

FOLDER = Path(__file__).resolve().parent.parent / "scenarios"
# In this order where all are run: the first ones are what the others are read beside.
ORDER = ("hits", "pool", "l1", "cluster", "paused", "spool", "values", "connections", "keys", "shards", "rate",
         "group", "fills", "zipf")
# What says how points differ: their product is measured.
AXES = ("depths", "connections", "keys", "value_bytes")


@dataclass(frozen=True)
class Load:
    name: str
    read_ratio: float
    options: tuple[str, ...] = ()  # of the generator, besides
    keys: int | None = None  # in place of the scenario's


@dataclass(frozen=True)
class Point:
    """What is measured of each server, one after the other."""

    protocol: str
    load: Load
    depth: int
    connections: int
    keys: int
    value_bytes: int
    rate: float | None = None  # of an open loop

    @property
    def place(self):
        """What tells it from others in a table."""
        name = self.load.name if self.rate is None else f"{self.load.name}@rate"
        return self.protocol, name, self.depth, self.connections, self.keys, self.value_bytes


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    servers: tuple[str, ...]
    loads: tuple[Load, ...]
    kind: str = "load"  # "load": each load in turn; else one of measure.KINDS
    depths: tuple[int, ...] = (1,)
    connections: tuple[int, ...] = (CONNECTIONS,)
    keys: tuple[int, ...] = (KEYS,)
    value_bytes: tuple[int, ...] = (VALUE_BYTES,)
    backends: int = 0  # behind each proxy
    is_cluster: bool = False  # they are masters of one Redis Cluster
    shards: int = 1  # threads of the server
    memory_mib: int = MEMORY_MIB
    open_share: float = 0  # of the best rival's rate, at which all are measured once more in an open loop

    @property
    def server_cores(self):
        return tuple(range(SERVER_CORE, SERVER_CORE + self.shards))

    @property
    def generator_core(self):
        """Its own if the machine has so many; else the server's last one, which the summary says."""
        beside = max(GENERATOR_CORE, self.server_cores[-1] + 1)
        return beside if beside in os.sched_getaffinity(0) else self.server_cores[-1]

    def only(self, keep):
        """The same with those servers alone that `keep` takes."""
        return replace(self, servers=tuple(name for name in self.servers if keep(name)))

    def points(self):
        spoken = {p for name in self.servers if name != "floor" for p in SERVERS[name]}
        axes = (self.loads, self.depths, self.connections, self.keys, self.value_bytes)
        points = (Point(*point) for point in itertools.product([p for p in PROTOCOLS if p in spoken], *axes))
        return [replace(point, keys=point.load.keys or point.keys) for point in points]


def names():
    """All that are there, the known ones first."""
    found = {path.stem for path in FOLDER.glob("*.toml")}
    return [name for name in ORDER if name in found] + sorted(found - set(ORDER))


def read(name):
    path = FOLDER / f"{name}.toml"
    try:
        with path.open("rb") as file:
            return of_table(name, tomllib.load(file))
    except OSError:
        raise Failed(f"no scenario is called {name}: choose from {', '.join(names())}") from None
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise Failed(f"{path}: {error}") from None


def of_table(name, raw):
    known = {field.name for field in fields(Scenario)} - {"name"}
    unknown = set(raw) - known | set(raw.get("servers", ())) - set(SERVERS)
    if unknown:
        raise Failed(f"{name}: {', '.join(sorted(unknown))} is neither a setting nor a server")
    loads = tuple(Load(load, settings["read_ratio"], tuple(settings.get("options", ())), settings.get("keys"))
                  for load, settings in raw.get("loads", {}).items())
    axes = {axis: tuple(raw[axis]) for axis in AXES if axis in raw}
    return Scenario(**{**raw, **axes, "name": name, "loads": loads, "servers": tuple(raw["servers"])})
