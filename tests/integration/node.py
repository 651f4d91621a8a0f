"""Clients in Node: the drivers of npm/, with the packages they drive in place."""

import contextlib
import fcntl
import json
import pathlib
import queue
import shutil
import subprocess
import threading

import pytest

from harness import DEADLINE

FOLDER = pathlib.Path(__file__).parent / "npm"


@contextlib.contextmanager
def alone(folder):
    """Of the processes that run tests, one at a time sees to the packages of that folder."""
    with open(folder / "package-lock.json") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def node_in_place():
    """The path of node, with the packages of npm/ in place; skips the test without them."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if not found:
        pytest.skip("node is not installed")
    with alone(FOLDER):
        bring_packages(npm)
    return found


def bring_packages(npm):
    mark = FOLDER / "node_modules" / ".package-lock.json"
    if not mark.is_file() or mark.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime:
        if not npm:
            pytest.skip("npm is not installed, and tests/integration/npm/node_modules is stale")
        done = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                              cwd=FOLDER, capture_output=True, text=True, timeout=120)
        if done.returncode:
            pytest.skip(f"npm ci failed in tests/integration/npm: {done.stderr.strip()[-300:]}")


def spawn(node, script, *args):
    return subprocess.Popen([node, script, *args], cwd=FOLDER, text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)


class Driver:
    """A driver that tells what happens to its client, an event a line."""

    def __init__(self, node, script, *args):
        self.process = spawn(node, script, *args)
        self.events = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()

    def event(self, name, but=None):
        """The next event, which must be of this name; those named `but` are passed over."""
        while True:
            got = self.events.get(timeout=DEADLINE)
            if got["event"] == name:
                return got
            assert got["event"] == but, got
