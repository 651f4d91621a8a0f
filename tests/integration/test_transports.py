"""One client that changes its transport in mid-stream, and keeps nothing but its cursor."""

import random
import threading

import pytest

from harness import DEADLINE, http_client, scaled
from node import Driver
from streams import Events, poll, session, tell

PLACES = [{"receiver": "ann"}, {"channel": "a"}, {"channel": "b"}, {"broadcast": True}]


class Reader:
    """A client by whichever transport comes next: `cursor` is all that it takes along."""

    def __init__(self, server, dice):
        self.server, self.dice = server, dice
        self.cursor, self.got = "0", []

    def take(self, frame):
        assert frame["id"] > self.cursor, (frame, self.cursor)
        self.cursor = frame["id"]
        self.got.append((frame["sender"], frame["message"]))

    def by_websocket(self, count):
        with session(self.server, "ann", f"&channels=a,b&after={self.cursor}") as client:
            assert client.welcome["cursor"] == self.cursor.zfill(19)
            for _ in range(count):
                frame = client.recv_json()
                assert frame["type"] == "message", frame
                self.take(frame)
            if self.dice.random() < 0.5:
                client.abort()

    def by_sse(self, count):
        query, headers = "channels=a,b", []
        if self.dice.random() < 0.5:
            headers = [f"Last-Event-ID: {self.cursor}"]
        else:
            query += f"&after={self.cursor}"
        with Events(self.server, "ann", query, headers) as sse:
            for _ in range(count):
                self.take(sse.message())

    def by_poll(self, count):
        end = len(self.got) + count
        with http_client(self.server.url) as http:
            while len(self.got) < end:
                page = http.get("/poll/ann", params={"channels": "a,b", "after": self.cursor,
                                                     "wait": 10}).json()
                assert page["gap"] is None and page["messages"]
                for message in page["messages"]:
                    self.take(message)
                assert page["next"] == self.cursor


@pytest.mark.workers
def test_a_change_of_transport_neither_loses_nor_doubles(start):
    server = start("--workers", "2")
    count, names, readers = scaled(900, least=150), "xyz", 3
    failures, ended = [], threading.Event()

    def publish(name):
        try:
            dice = random.Random(name)
            with http_client(server.url) as http:
                for n in range(count):
                    assert http.post("/send-message", json={
                        "sender": name, "message": n, **dice.choice(PLACES)}).status_code == 200
        except BaseException as failure:
            failures.append(failure)

    def read(reader):
        try:
            while (left := count * len(names) - len(reader.got)) > 0:
                how = reader.dice.choice([reader.by_websocket, reader.by_sse, reader.by_poll])
                how(min(left, reader.dice.randrange(1, count // 8)))
        except BaseException as failure:
            failures.append(failure)

    clients = [Reader(server, random.Random(n)) for n in range(readers)]
    threads = [threading.Thread(target=publish, args=(name,)) for name in names]
    threads += [threading.Thread(target=read, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(6 * DEADLINE)
    assert not failures, failures
    for client in clients:
        for name in names:
            assert [n for sender, n in client.got if sender == name] == list(range(count))
    assert server.metric("gaps_total") == 0
    for transport in "websocket", "sse", "poll":
        assert server.metric("delivered_total", transport=transport) > 0, transport


def test_all_transports_show_the_same(start):
    server = start()
    for n in range(60):
        tell(server, n, **PLACES[n % 4])
    with session(server, "ann", "&channels=a,b&after=0") as ws, \
            Events(server, "ann", "channels=a,b&after=0") as sse:
        frames = [ws.recv_json() for _ in range(60)]
        assert [sse.message() for _ in range(60)] == frames
    page = poll(server, "ann", channels="a,b", after=0)
    assert [{"type": "message", **m} for m in page["messages"]] == frames


@pytest.mark.workers
def test_a_cursor_from_before_any_message_holds_everywhere(start):
    """Opened and left without a message: what comes in between is still not lost."""
    server = start()
    with session(server, "ann") as ws:
        cursor = ws.welcome["cursor"]
    tell(server, 1, receiver="ann")
    with Events(server, "ann", f"after={cursor}") as sse:
        assert sse.messages(1) == [1]
    page = poll(server, "ann", after=cursor)
    assert [m["message"] for m in page["messages"]] == [1]
    empty = poll(server, "ann", after=page["next"], wait=0)
    tell(server, 2, receiver="ann")
    with session(server, "ann", f"&after={empty['next']}") as ws:
        assert ws.recv_json()["message"] == 2


# ---- npm `eventsource` ----

def event_source(node, url):
    """The driver npm/events.mjs."""
    return Driver(node, "events.mjs", url)


def test_npm_eventsource_receives_and_comes_back_with_its_cursor(node, start):
    server = start("--retry-spread", "0s")
    with event_source(node, f"{server.url}/sse/ann?channels=a") as source:
        source.event("open")
        welcome = source.event("welcome")
        assert welcome["id"] == welcome["data"]["cursor"]
        sent = tell(server, {"n": 1}, channel="a")
        got = source.event("message")
        assert got["id"] == sent["id"] and got["data"]["message"] == {"n": 1}
        assert got["data"]["channel"] == "a"
        server.http.delete("/users/ann/sessions")
        assert source.event("bye")["data"]["code"]
        tell(server, "while away", receiver="ann")
        source.event("error")  # the end of the stream: it comes back by itself
        source.event("open")
        assert source.event("welcome")["id"] == sent["id"]
        assert source.event("message")["data"]["message"] == "while away"


def test_npm_eventsource_stops_where_it_is_refused(node, start):
    server = start()
    with event_source(node, f"{server.url}/sse/ann?after=x") as source:
        got = source.event("error")
        assert got["code"] == 400 and got["state"] == 2


# ---- npm `compression` ----

def test_events_pass_a_dev_server_that_compresses(node, start):
    server = start()
    with Driver(node, "compress.mjs", server.url) as dev:
        port = dev.event("ready")["port"]
        with http_client(f"http://127.0.0.1:{port}") as http:
            assert http.get("/metrics").headers["content-encoding"] == "gzip"
        with Events(server, "ann", port=port, headers=["Accept-Encoding: gzip"]) as sse:
            assert "content-encoding" not in sse.headers
            server.send("ann", "now")
            assert sse.messages(1) == ["now"]
