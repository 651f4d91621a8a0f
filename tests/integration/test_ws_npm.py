"""A client of another make: npm `ws`, the library most servers in Node receive with."""

import base64
import json
import pathlib
import queue
import shutil
import subprocess
import threading

import pytest

from harness import DEADLINE, Server, scaled, wait_until

FOLDER = pathlib.Path(__file__).parent / "npm"


@pytest.fixture(scope="module")
def node():
    """The path of node, with `ws` in place."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if not found:
        pytest.skip("node is not installed")
    if not (FOLDER / "node_modules" / "ws").is_dir():
        if not npm:
            pytest.skip("npm is not installed, and tests/integration/npm/node_modules is missing")
        done = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                              cwd=FOLDER, capture_output=True, text=True, timeout=120)
        if done.returncode:
            pytest.skip(f"npm ci failed in tests/integration/npm: {done.stderr.strip()[-300:]}")
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("npm"), "--dev-echo", "--heartbeat", "1s")
    yield made
    try:
        made.stop()
    finally:
        made.kill()


class Peer:
    """The driver npm/client.mjs."""

    def __init__(self, node, url, *protocols):
        self.process = subprocess.Popen([node, "client.mjs", url, *protocols], cwd=FOLDER,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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

    def do(self, what, **more):
        self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.process.stdin.flush()

    def event(self, name):
        """The next event that is no ping, which must be of this name."""
        while True:
            got = self.events.get(timeout=DEADLINE)
            if got["event"] == name:
                return got
            assert got["event"] == "ping", got

    def text(self):
        got = self.event("message")
        assert not got["binary"]
        return got["data"]

    def json(self):
        return json.loads(self.text())


def test_ws_connects_and_receives(node, server):
    with Peer(node, server.ws_url("/ws/alice")) as peer:
        assert peer.event("open") == {"event": "open", "protocol": "", "extensions": ""}
        server.send("alice", "hi")
        server.send("alice", {"title": "T"})
        server.send("alice", "가나다 🦊")
        assert peer.text() == "[bob]: hi"
        assert peer.text() == '[bob]: {"title":"T"}'
        assert peer.text() == "[bob]: 가나다 🦊"
        peer.do("close", code=1000)
        assert peer.event("close")["code"] == 1000


def test_ws_speaks_json_and_resumes(node, server):
    with Peer(node, server.ws_url("/ws/bea"), "chat", "pushwire.v1.json") as peer:
        assert peer.event("open")["protocol"] == "pushwire.v1.json"
        assert peer.json()["type"] == "welcome"
        server.send("bea", 1)
        cursor = peer.json()["id"]
        peer.do("terminate")
        assert peer.event("close")["code"] == 1006
    server.send("bea", 2)
    with Peer(node, server.ws_url(f"/ws/bea?after={cursor}"), "pushwire.v1.json") as peer:
        peer.event("open")
        assert peer.json()["cursor"] == cursor
        assert peer.json()["message"] == 2


def test_ws_answers_heartbeats_and_gets_its_own_pings_answered(node, server):
    with Peer(node, server.ws_url("/ws/cal?format=json")) as peer:
        peer.event("open")
        assert peer.json()["type"] == "welcome"
        peer.do("ping", data="are you there?")
        assert peer.event("pong")["data"] == "are you there?"
        peer.do("send", data='{"type":"ping"}')
        assert peer.json() == {"type": "pong"}
        for _ in range(4):  # it would be closed after two without an answer
            assert peer.events.get(timeout=DEADLINE) == {"event": "ping", "data": ""}


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 3000, 4999])
def test_ws_and_the_server_agree_on_close_codes(node, server, code):
    with Peer(node, server.ws_url("/ws/dan")) as peer:
        peer.event("open")
        peer.do("close", code=code, reason="done")
        assert peer.event("close")["code"] == code


def test_ws_hears_why_the_server_closes(node, server):
    with Peer(node, server.ws_url("/ws/eve")) as kicked, \
            Peer(node, server.ws_url("/ws/eve")) as wrong:
        kicked.event("open")
        wrong.event("open")
        wrong.do("send", data="x" * 70_000)
        assert wrong.event("close")["code"] == 1009
        server.http.delete("/users/eve/sessions")
        assert kicked.event("close")["code"] == 4403


def test_ws_is_refused_by_status(node, server):
    with Peer(node, server.ws_url("/ws/fay?after=x")) as peer:
        assert peer.event("refused")["status"] == 400


def test_ws_gets_its_own_bytes_back(node, server):
    with Peer(node, server.ws_url("/ws-echo")) as peer:
        peer.event("open")
        for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
            peer.do("send", data="é" * (size // 2))
            assert peer.text() == "é" * (size // 2)
            data = base64.b64encode(bytes(size)).decode()
            peer.do("binary", data=data)
            got = peer.event("message")
            assert got["binary"] and got["data"] == data


def test_ws_that_pauses_misses_nothing(node, start):
    server = start("--keep-messages", "100000", "--keep-bytes", "1GiB", "--keep-total", "1GiB",
                   "--queue-high", "16KiB")
    count = scaled(600, least=200)
    with Peer(node, server.ws_url("/ws/gil?format=json")) as peer:
        peer.event("open")
        assert peer.json()["type"] == "welcome"
        peer.do("pause")
        for n in range(count):
            server.send("gil", [n, "x" * 30_000])
        if count >= 400:
            wait_until(lambda: server.metric("sessions", state="behind") == 1)
        peer.do("resume")
        assert [peer.json()["message"][0] for _ in range(count)] == list(range(count))


def test_ws_hears_that_the_server_stops(node, start):
    server = start()
    with Peer(node, server.ws_url("/ws/hal?format=json")) as peer:
        peer.event("open")
        assert peer.json()["type"] == "welcome"
        server.signal(15)
        assert peer.json()["code"] == "stopping"
        assert peer.event("close")["code"] == 1001
    assert server.wait() == 0
