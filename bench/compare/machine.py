"""What the numbers were measured on, and what must be there first."""

import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from . import GENERATOR_CORE, SERVER_CORE, Failed
from .rivals import GROUPCACHE
from .servers import REPLACED, missing

ROOT = Path(__file__).resolve().parent.parent.parent


def check(servers, given):
    if not {SERVER_CORE, GENERATOR_CORE} <= os.sched_getaffinity(0):
        raise Failed(f"cores {SERVER_CORE} and {GENERATOR_CORE} are needed, one for each side")
    if lines := missing(servers, given):
        raise Failed("\ncompare: ".join(lines))


def build(servers):
    """Builds what is ours; gives the folder of the binaries."""
    packages = ["-p", "ringfort-bench"]
    if any(name.startswith("ringfort") for name in servers):
        packages += ["-p", "ringfort"]
    if subprocess.run(["cargo", "build", "--release", "--locked", *packages], cwd=ROOT).returncode:
        raise Failed("the build failed")
    folder = release_folder()
    if "groupcache" in servers:
        build_groupcache(folder)
    return folder


def build_groupcache(folder):
    # Debian's way to build with its packages, without modules.
    settings = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
    command = ["go", "build", "-o", folder / GROUPCACHE, "tests/peers/go/main.go"]
    if subprocess.run(command, cwd=ROOT, env=settings).returncode:
        raise Failed("the build of the groupcache peer failed")


def release_folder():
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"],
        cwd=ROOT, check=True, capture_output=True,
    )
    return Path(json.loads(metadata.stdout)["target_directory"]) / "release"


def facts(programs):
    """What ran, on what."""
    commands = {
        "rustc": ["rustc", "--version"],
        "ringfort at": ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        "memcached": [programs.path("memcached"), "-V"],
        "redis": [programs.path("redis", "redis-server"), "--version"],
        "nutcracker": ["nutcracker", "-V"],
        "go": ["go", "version"],
        "groupcache": ["dpkg-query", "-W", "golang-github-golang-groupcache-dev"],
        **{name: [path, "-V" if name.startswith("memcached") else "--version"]
           for name, path in programs.given.items() if name not in REPLACED},
    }
    lines = [
        f"command: {' '.join(sys.argv)}",
        f"date: {datetime.datetime.now().astimezone().isoformat(timespec='seconds')}",
        f"uname: {' '.join(platform.uname())}",
        f"load before: {' '.join(f'{load:.2f}' for load in os.getloadavg())}",
    ]
    lines += [f"{name}: {first_line(command)}" for name, command in commands.items()]
    lscpu = subprocess.run(["lscpu"], capture_output=True, text=True)
    text = "\n".join(lines) + f"\n\n{lscpu.stdout}"
    # Where a rival was built says nothing to whoever reads this elsewhere.
    for path in programs.given.values():
        text = text.replace(path, Path(path).name)
    return text


def first_line(command):
    try:
        ran = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "not there"
    return ((ran.stdout + ran.stderr).strip().splitlines() or ["says nothing"])[0]
