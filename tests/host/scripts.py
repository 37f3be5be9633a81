"""Runs host-check and host-tune on trees of their own, never on this machine."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import trees

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))


class OnTree(unittest.TestCase):
    """A test with a folder of its own, that fake machines grow in."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="ringfort-host-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.root = self.folder / "root"
        self.state = self.folder / "state" / "tuned.json"

    def grow(self, table):
        trees.grow(self.root, table)

    def text(self, path):
        return (self.root / path.lstrip("/")).read_text().strip()

    def set(self, path, text):
        (self.root / path.lstrip("/")).write_text(f"{text}\n")

    def everything(self):
        """path: text of all files of the tree."""
        return {str(path.relative_to(self.root)): path.read_text()
                for path in self.root.rglob("*") if path.is_file()}

    def check(self, *options):
        """Exit status and what was printed."""
        return ran("host-check", "--root", self.root, *options)

    def tune(self, *options):
        return ran("host-tune", *options, "--root", self.root, "--state", self.state)


def ran(script, *options):
    done = subprocess.run([sys.executable, SCRIPTS / script, *map(str, options)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr
