"""ringfort, in each way to run that is compared."""

import tempfile
from pathlib import Path

from .launch import CONNECTIONS_MAX

HASH_TAG = "{}"
KEY_HASH = "murmur"  # fnv1a_64, the common one, puts all short tags in one place

# Of --memory, for buffers and the program: what groupcache keeps is keys and values alone.
OWN_MIB = 8

# Pools that answer writes before their backends have them: policy, --spool-sync if there is a spool.
LATER = {
    "ringfort-invalidate": ("invalidate", None),
    "ringfort-spool-none": ("invalidate", "none"),
    "ringfort-spool-interval": ("invalidate", "interval"),
    "ringfort-spool-always": ("invalidate", "always"),
    "ringfort-behind": ("behind", None),
    "ringfort-behind-always": ("behind", "always"),
}

# Groups among peers: --hot.
HOT = {"ringfort-peers": "none", "ringfort-hot-none": "none", "ringfort-hot-coin": "coin",
       "ringfort-hot-sketch": "sketch", "ringfort-hot-all": "all"}


def ringfort(launch):
    front = {"memcache": "off", "resp": "off", launch.protocol: f"127.0.0.1:{launch.port}"}
    return [launch.programs.ours / "ringfort", "--cores", ",".join(map(str, launch.cores)),
            "--memcache", front["memcache"], "--resp", front["resp"], "--memory", f"{launch.memory_mib}MiB",
            "--item-size-max", f"{launch.item_kib_max}KiB", "--connections-max", CONNECTIONS_MAX]


def ringfort_spin(launch):
    return [*ringfort(launch), "--spin", "1ms"]


def ringfort_pool(launch):
    # As nutcracker is told to place keys, so that both have the same of them on each backend.
    command = ringfort(launch)
    command += ["--pool", launch.protocol, "--hash-ring", "twemproxy", "--key-hash", KEY_HASH,
                "--hash-tag", HASH_TAG]
    for backend in launch.backends:
        command += ["--server", f"127.0.0.1:{backend}"]
    return command


def ringfort_l1(launch):
    return [*ringfort_pool(launch), "--l1", "60s"]


def ringfort_tracked(launch):
    return [*ringfort_pool(launch), "--l1", "tracked"]


def ringfort_cluster(launch):
    return [*ringfort(launch), "--pool", "cluster", "--server", f"127.0.0.1:{launch.backends[0]}"]


def ringfort_cluster_tracked(launch):
    return [*ringfort_cluster(launch), "--l1", "tracked"]


def ringfort_group(launch):
    return [*ringfort(launch), "--group", "values", "--origin", f"http://127.0.0.1:{launch.peering.origin}/{{key}}"]


def ringfort_peer(hot):
    """By which of the values that others own it keeps."""
    def command(launch):
        # It need not be among the owners, which takes a file; named by flags, peers are the others.
        peers = tempfile.mkstemp(prefix="peers-", dir=launch.scratch)[1]
        Path(peers).write_text("\n".join(launch.peering.owners))
        return [*ringfort_group(launch), "--self", launch.peering.me, "--peers", peers, "--hot", hot]

    return command


def ringfort_later(name):
    policy, sync = LATER[name]

    def command(launch):
        words = [*ringfort_pool(launch), "--write", policy]
        if sync:
            spool = tempfile.mkdtemp(prefix="spool-", dir=launch.scratch)
            words += ["--spool", spool, "--spool-sync", sync]
        return words

    return command


COMMANDS = {
    "ringfort": ringfort,
    "ringfort-spin": ringfort_spin,
    "ringfort-pool": ringfort_pool,
    "ringfort-l1": ringfort_l1,
    "ringfort-tracked": ringfort_tracked,
    "ringfort-cluster": ringfort_cluster,
    "ringfort-cluster-tracked": ringfort_cluster_tracked,
    **{name: ringfort_later(name) for name in LATER},
    "ringfort-group": ringfort_group,
    "ringfort-group-ending": ringfort_group,
    **{name: ringfort_peer(hot) for name, hot in HOT.items()},
}
