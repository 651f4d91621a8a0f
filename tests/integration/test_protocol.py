"""A protocol that the server does not ship, a file and a row: tests/protocol/ndjson.c."""

import json
import pathlib
import urllib.request

import pytest

import harness
from harness import AnswerReader, request, wait_until

BINARY = pathlib.Path(harness.BINARY).parent / "tests" / "protocol" / "pushwire-ndjson"


@pytest.fixture
def server(start, monkeypatch):
    if not BINARY.exists():
        pytest.skip("built with -Dtests=true only")
    monkeypatch.setattr(harness, "BINARY", str(BINARY))
    return start()


class Lines:
    """What comes on /ndjson/<user>, a line each."""

    def __init__(self, server, user, query=""):
        self.sock = server.connect()
        self.sock.sendall(request("GET", f"/ndjson/{user}{query}"))
        self.sock.settimeout(harness.DEADLINE)
        self.file = self.sock.makefile("rb")
        head = iter(self.file.readline, b"\r\n")
        self.status = int(next(head).split()[1])
        self.headers = dict(line.decode().strip().lower().split(": ", 1) for line in head)

    def next(self):
        line = self.file.readline()
        return json.loads(line) if line.strip() else line and self.next()


def test_it_opens_is_told_and_counted(server):
    kept = server.send("ann", "before")["id"]
    lines = Lines(server, "ann", "?after=0")
    assert lines.status == 200 and lines.headers["content-type"] == "application/x-ndjson"
    assert lines.next()["type"] == "welcome"
    assert lines.next()["message"] == "before"
    other = Lines(server, "ann", f"?after={kept}")
    assert other.next()["type"] == "welcome"
    server.send("ann", {"a": 1})
    for one in (lines, other):
        got = one.next()
        assert (got["type"], got["sender"], got["message"]) == ("message", "bob", {"a": 1})
    assert server.metric("sessions", transport="ndjson", state="live") == 2
    # Not by server.http, which holds answers against docs/api: that knows no such transport.
    with urllib.request.urlopen(f"{server.url}/users/ann") as answer:
        sessions = json.load(answer)["sessions"]
    assert [session["transport"] for session in sessions] == ["ndjson"] * 2
    lines.sock.close()
    lines.file.close()
    wait_until(lambda: server.metric("sessions", transport="ndjson", state="live") == 1)


def test_it_is_closed_with_a_word(server):
    lines = Lines(server, "ann")
    assert lines.next()["type"] == "welcome"
    assert server.http.delete("/users/ann/sessions").status_code == 200
    assert lines.next()["type"] == "bye"
    assert lines.next() == b""
    other = Lines(server, "ann")
    assert other.next()["type"] == "welcome"
    server.stop()
    assert other.next()["type"] == "bye"


def test_what_it_asks_for_is_judged_as_elsewhere(server):
    with server.connect() as sock:
        sock.sendall(request("GET", "/ndjson/ann?after=yesterday"))
        answer = AnswerReader(sock).next()
        assert answer.status == 422 or answer.status == 400, answer
        assert b'"code":"bad_parameter"' in answer.body
