"""Scenarios: which servers get which load, read from bench/scenarios/*.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from . import Failed
from .servers import SERVERS

FOLDER = Path(__file__).resolve().parent.parent / "scenarios"
# In this order where all are run: the first ones are what the others are read beside.
ORDER = ("hits", "pool", "l1", "cluster", "paused", "spool")
KEYS = {"about", "kind", "servers", "depths", "backends", "is_cluster", "loads"}


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    kind: str  # "load": each load in turn; "paused": see paused.py
    servers: tuple[str, ...]
    depths: tuple[int, ...]
    backends: int  # behind each proxy
    is_cluster: bool  # they are masters of one Redis Cluster
    loads: dict[str, float]  # name: share of reads

    def only(self, keep):
        """The same with those servers alone that `keep` takes."""
        servers = tuple(name for name in self.servers if keep(name))
        return Scenario(**{**self.__dict__, "servers": servers})


def names():
    """All that are there, the known ones first."""
    found = {path.stem for path in FOLDER.glob("*.toml")}
    return [name for name in ORDER if name in found] + sorted(found - set(ORDER))


def read(name):
    path = FOLDER / f"{name}.toml"
    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
    except OSError:
        raise Failed(f"no scenario is called {name}: choose from {', '.join(names())}") from None
    except tomllib.TOMLDecodeError as error:
        raise Failed(f"{path}: {error}") from None
    unknown = set(raw) - KEYS | set(raw.get("servers", ())) - set(SERVERS)
    if unknown:
        raise Failed(f"{path}: {', '.join(sorted(unknown))} is neither a setting nor a server")
    return Scenario(
        name=name,
        about=raw["about"],
        kind=raw.get("kind", "load"),
        servers=tuple(raw["servers"]),
        depths=tuple(raw["depths"]),
        backends=raw.get("backends", 0),
        is_cluster=raw.get("is_cluster", False),
        loads={load: settings["read_ratio"] for load, settings in raw.get("loads", {}).items()},
    )
