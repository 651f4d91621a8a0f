"""The senders of sdk/, each as one that sends numbers until it is told to end."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading

import pytest

from harness import DEADLINE, ROOT, wait_until
from node import alone, spawn

sys.path.insert(0, str(ROOT / "sdk/python/src"))

from pushwire import AsyncPushwire, Pushwire  # noqa: E402

SDK = ROOT / "sdk" / "node"


def node_sender_in_place():
    """The module of sdk/node, built; skips the test without npm."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    with alone(SDK):
        build_node_sender()
    return (SDK / "dist/esm/index.js").as_uri()


def build_node_sender():
    built = SDK / "dist/cjs/package.json"
    sources = [SDK / "package-lock.json", *(SDK / "src").iterdir()]
    if not built.is_file() or any(f.stat().st_mtime > built.stat().st_mtime for f in sources):
        for step in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            done = subprocess.run(["npm", *step], cwd=SDK, capture_output=True, text=True, timeout=120)
            if done.returncode and step[0] == "ci":
                pytest.skip(f"npm ci failed in sdk/node: {done.stderr.strip()[-300:]}")
            assert done.returncode == 0, done.stdout


class Numbers:
    """What was acknowledged, in order: (number, id, duplicate)."""

    def __init__(self):
        self.acknowledged = []
        self.failure = None
        self.ended = threading.Event()

    def note(self, first, results):
        self.acknowledged += [(n, sent.id, sent.duplicate) for n, sent in enumerate(results, first)]

    def begin(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def _run(self):
        try:
            self.send()
        except BaseException as failure:  # told by finish()
            self.failure = failure

    def after(self, count):
        """Until so many more are acknowledged."""
        goal = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= goal or self.failure, 3 * DEADLINE)

    def finish(self):
        self.ended.set()
        self.thread.join(3 * DEADLINE)
        assert self.failure is None and not self.thread.is_alive(), self.failure
        assert [n for n, *_ in self.acknowledged] == list(range(len(self.acknowledged)))
        return self.acknowledged


class PythonSender(Numbers):
    def __init__(self, url, batch):
        super().__init__()
        self.url, self.batch = url, batch

    def send(self):
        with Pushwire(self.url, sender="bob") as push:
            number = 0
            while not self.ended.is_set():
                some = [{"receiver": "ann", "message": n} for n in range(number, number + self.batch)]
                self.note(number, push.send_many(some) if self.batch > 1 else [push.send("ann", number)])
                number += self.batch


class AsyncSender(PythonSender):
    def send(self):
        asyncio.run(self._send())

    async def _send(self):
        async with AsyncPushwire(self.url, sender="bob") as push:
            number = 0
            while not self.ended.is_set():
                self.note(number, [await push.send("ann", number)])
                number += 1


class NodeSender(Numbers):
    def __init__(self, url, batch):
        super().__init__()
        self.process = spawn(shutil.which("node"), "sender.mjs", node_sender_in_place(), url, str(batch))

    def send(self):
        for line in self.process.stdout:
            self.acknowledged.append(tuple(json.loads(line)))
        assert self.process.wait(DEADLINE) == 0

    def finish(self):
        self.process.stdin.close()
        return super().finish()


SENDERS = {"python": PythonSender, "asyncio": AsyncSender, "node": NodeSender}
