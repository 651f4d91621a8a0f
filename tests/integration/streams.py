"""The three ways to receive, for tests: one WebSocket session, one SSE stream, one poll."""

import json
import socket
import time
from typing import NamedTuple

from contract import CONTRACT
from frames import Client
from harness import DEADLINE


def tell(server, message, sender="bob", **fields):
    """POST /send-message with these fields; the answer, which must be 200."""
    answer = server.http.post("/send-message", json={"sender": sender, "message": message, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def session(server, user, query="", port=None):
    """A WebSocket session in JSON, welcomed."""
    client = Client(port or server.port, f"/ws/{user}?format=json{query}", timeout=DEADLINE)
    client.welcome = client.recv_json()
    assert client.welcome["type"] == "welcome", client.welcome
    return client


def poll(server, user, url=None, **query):
    """One long poll; its answer, which must be 200."""
    if "wait" not in query:
        query["wait"] = 10
    answer = server.http.get(f"{url or ''}/poll/{user}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


class Event(NamedTuple):
    event: str = None
    data: str = None
    id: str = None
    retry: int = None
    comment: str = None

    @property
    def json(self):
        return json.loads(self.data)


class Ended(Exception):
    """The stream is over; what was left of it is in args."""


class Events:
    """One SSE stream on bytes, parsed strictly. It opens with its welcome, unless `welcome=False`.
    """

    def __init__(self, server, user, query="", headers=(), method="GET", welcome=True, port=None,
                 receive_buffer=None, status=200):
        self.socket = socket.socket()
        self.socket.settimeout(DEADLINE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port or server.port))
        lines = [f"{method} /sse/{user}{query and '?' + query} HTTP/1.1", "Host: localhost",
                 "Accept: text/event-stream", *headers]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.buffer = b""
        self.chunked = False
        self.chunks = b""
        self.over = False
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            assert name.lower() not in self.headers, head
            self.headers[name.strip().lower()] = value.strip()
        assert self.status == status, (head, self.buffer)
        CONTRACT.exchange(method, f"/sse/{user}{query and '?' + query}", {}, None, self.status,
                          self.headers, None)
        if self.headers.get("transfer-encoding") == "chunked":  # a proxy's
            self.chunked, self.chunks, self.buffer = True, self.buffer, b""
            self._unchunk()
        if welcome and method == "GET" and status == 200:
            self.welcomed = self.next()
            assert self.welcomed.event == "welcome", self.welcomed
            self.welcome = self.welcomed.json
            self.cursor = self.welcomed.id

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.socket.close()

    def _fill(self):
        if self.over:
            raise Ended(self.buffer)
        try:
            got = self.socket.recv(1 << 18)
        except ConnectionError as error:
            raise Ended(self.buffer) from error
        if not got:
            raise Ended(self.buffer)
        if self.chunked:
            self.chunks += got
            self._unchunk()
        else:
            self.buffer += got

    def _unchunk(self):
        while b"\r\n" in self.chunks and not self.over:
            size, _, rest = self.chunks.partition(b"\r\n")
            length = int(size, 16)
            if len(rest) < length + 2:
                return
            self.buffer += rest[:length]
            self.chunks = rest[length + 2:]
            self.over = length == 0

    def _until(self, mark):
        while mark not in self.buffer:
            self._fill()
        got, _, self.buffer = self.buffer.partition(mark)
        return got

    def next(self, comments=False):
        """The next event; comments only if they are asked for."""
        end = time.monotonic() + DEADLINE + 10
        while True:
            assert time.monotonic() < end, "nothing but comments"
            fields = {}
            for line in self._until(b"\n\n").decode().split("\n"):
                name, colon, value = line.partition(":")
                assert colon and value.startswith(" "), line
                name = name or "comment"
                assert name in Event._fields and name not in fields, line
                fields[name] = int(value) if name == "retry" else value[1:]
            event = Event(**fields)
            if event.event:
                assert event.json["type"] == event.event
                fields = {name: value for name, value in fields.items() if name != "data"}
                CONTRACT.said("events", event.event, event.json, fields)
                if event.event == "message":
                    assert event.json["id"] == event.id
                    self.cursor = event.id
                return event
            assert event.comment is not None and event.data is None and event.id is None, event
            if comments:
                return event

    def message(self):
        """The next event, which must be a message: its frame."""
        event = self.next()
        assert event.event == "message", event
        return event.json

    def messages(self, count):
        """The bodies of so many messages, whose ids must rise."""
        got, last = [], ""
        for _ in range(count):
            frame = self.message()
            assert frame["id"] > last
            last = frame["id"]
            got.append(frame["message"])
        return got

    def rest(self):
        """The last events, up to the end of the stream."""
        got = []
        try:
            while True:
                got.append(self.next())
        except Ended as ended:
            assert ended.args == (b"",), ended.args
            return got


def is_online(server, user):
    return server.http.get(f"/users/{user}").json()["online"]
