"""A client of another make: npm `ws`, the library most servers in Node receive with."""

import base64
import json

import pytest

from harness import DEADLINE, scaled, serving, wait_until
from node import Driver


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("npm"), "--dev-echo", "--heartbeat", "1s") as made:
        yield made


class Peer(Driver):
    """The driver npm/client.mjs."""

    def __init__(self, node, url, *protocols):
        super().__init__(node, "client.mjs", url, *protocols)

    def do(self, what, **more):
        self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.process.stdin.flush()

    def event(self, name):
        return super().event(name, but="ping")

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
