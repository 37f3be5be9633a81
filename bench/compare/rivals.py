"""The rivals: how each is told to do the same with the same."""

import os

from .launch import CONNECTIONS_MAX, ITEM_MIB_MAX
from .ours import HASH_TAG, KEY_HASH, OWN_MIB
from .process import free_port

GROUPCACHE = "groupcache-peer"  # the program that is built of tests/peers/go


def memcached(launch):
    return [launch.programs.path("memcached"), "-l", "127.0.0.1", "-p", launch.port, "-U", 0,
            "-t", launch.threads, "-m", launch.memory_mib, "-c", CONNECTIONS_MAX, "-I", f"{ITEM_MIB_MAX}m",
            *as_nobody()]


def as_nobody():
    """memcached refuses to run as root, but not as root told to become somebody else."""
    return ["-u", "nobody"] if os.geteuid() == 0 else []


def redis(launch):
    return [launch.programs.path("redis", "redis-server"), *redis_flags(launch)]


def valkey(launch):
    # Its main thread counts among them.
    threads = ["--io-threads", launch.threads] if launch.threads > 1 else []
    return [launch.programs.given["valkey"], *redis_flags(launch), *threads]


def redis_flags(launch):
    return ["--bind", "127.0.0.1", "--port", launch.port, "--save", "", "--appendonly", "no",
            "--maxclients", CONNECTIONS_MAX]


def dragonfly(launch):
    front = ["--port", launch.port]
    if launch.protocol == "memcache":
        front = ["--port", free_port(), "--memcached_port", launch.port]
    return [launch.programs.given["dragonfly"], "--bind", "127.0.0.1", *front, "--dbfilename", "",
            "--proactor_threads", launch.threads, "--maxmemory", f"{launch.memory_mib}mb", "--logtostderr"]


def crucible(launch):
    config = launch.scratch / "crucible.toml"
    # Buckets of several entries: twice as many as keys are plenty.
    power = max((2 * max(launch.keys, 1)).bit_length(), 16)
    config.write_text(
        f"[workers]\nthreads = {launch.threads}\ncpu_affinity = \"{','.join(map(str, launch.cores))}\"\n"
        f"[cache]\nheap_size = \"{launch.memory_mib}MB\"\nsegment_size = \"{2 * ITEM_MIB_MAX}MB\"\n"
        f"hashtable_power = {power}\n"
        f"[[listener]]\nprotocol = \"{launch.protocol}\"\naddress = \"127.0.0.1:{launch.port}\"\n"
        f"[metrics]\naddress = \"127.0.0.1:{free_port()}\"\n"
    )
    return [launch.programs.given["crucible"], config]


def nutcracker(launch):
    config = launch.scratch / "nutcracker.yml"
    servers = "".join(f"   - 127.0.0.1:{backend}:1\n" for backend in launch.backends)
    config.write_text(
        f"pool:\n  listen: 127.0.0.1:{launch.port}\n  hash: {KEY_HASH}\n  distribution: ketama\n"
        f"  hash_tag: \"{HASH_TAG}\"\n  redis: {'true' if launch.protocol == 'resp' else 'false'}\n"
        f"  servers:\n{servers}"
    )
    return ["nutcracker", "-c", config, "-s", free_port(), "-o", launch.scratch / "nutcracker.log"]


def predixy(launch):
    groups = "".join(
        f"    Group g{number} {{\n        + 127.0.0.1:{backend}\n    }}\n"
        for number, backend in enumerate(launch.backends)
    )
    pool = (
        "StandaloneServerPool {\n    Databases 1\n    Hash crc16\n"
        f"    HashTag \"{HASH_TAG}\"\n    Distribution modula\n    RefreshMethod fixed\n{groups}}}\n"
    )
    return predixy_with(pool, launch)


def predixy_cluster(launch):
    seeds = "".join(f"        + 127.0.0.1:{backend}\n" for backend in launch.backends)
    pool = f"ClusterServerPool {{\n    Servers {{\n{seeds}    }}\n}}\n"
    return predixy_with(pool, launch)


def predixy_with(pool, launch):
    config = launch.scratch / "predixy.conf"
    config.write_text(
        f"Name predixy\nBind 127.0.0.1:{launch.port}\nWorkerThreads {launch.threads}\nClientTimeout 300\n"
        f"Authority {{\n    Auth {{\n        Mode admin\n    }}\n}}\n{pool}"
    )
    return [launch.programs.given["predixy"], config]


def memcached_proxy(launch):
    config = launch.scratch / "proxy.lua"
    listed = ", ".join(f'"127.0.0.1:{backend}"' for backend in launch.backends)
    config.write_text(
        f'pools{{ all = {{ options = {{ filter = "tags", filter_conf = "{HASH_TAG}" }},'
        f" backends = {{ {listed} }} }} }}\n"
        'routes{ default = route_direct{ child = "all" } }\n'
    )
    return [launch.programs.given["memcached-proxy"], "-l", "127.0.0.1", "-p", launch.port, "-U", 0,
            "-t", launch.threads, "-m", 64, "-c", CONNECTIONS_MAX,
            "-o", f"proxy_config=routelib,proxy_arg={config}", *as_nobody()]


def groupcache(launch):
    peering = launch.peering
    kept_bytes = (launch.memory_mib - OWN_MIB) * 1024 * 1024 if peering.keeps else 0
    return [launch.programs.ours / GROUPCACHE, "-self", peering.me, "-peers", ",".join(peering.owners),
            "-origin", f"http://127.0.0.1:{peering.origin}/", "-cache-bytes", kept_bytes,
            "-memcache", f"127.0.0.1:{launch.port}"]


COMMANDS = {
    "memcached": memcached,
    "redis": redis,
    "valkey": valkey,
    "dragonfly": dragonfly,
    "crucible": crucible,
    "nutcracker": nutcracker,
    "predixy": predixy,
    "predixy-cluster": predixy_cluster,
    "memcached-proxy": memcached_proxy,
    "groupcache": groupcache,
}
