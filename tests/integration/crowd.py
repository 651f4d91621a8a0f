"""Senders and receivers that go on while their server comes and goes, and what is kept at the end."""

import json
import threading
import time

import httpx

from frames import Client, Ended
from harness import DEADLINE, http_client


def mail(server, user, after=0):
    """All that is kept, and whether there was a gap."""
    found, gap = [], None
    while True:
        answer = server.http.get(f"/users/{user}/messages", params={"after": after, "limit": 1000})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        found += told["messages"]
        gap = gap or told["gap"]
        after = told["next"]
        if not told["more"]:
            return found, gap


def numbers(server, user):
    found, gap = mail(server, user)
    assert gap is None
    return [m["message"] for m in found]


class Place:
    """Where the server is at the moment; it comes and goes."""

    def __init__(self, server):
        self.server = server
        self.ended = threading.Event()


class Sender(threading.Thread):
    """Numbers to one user, `batch` of them at a time: by NDJSON if there are several. What was not
    answered is sent again, with the same keys."""

    def __init__(self, place, user, batch=1):
        super().__init__(daemon=True)
        self.place, self.user, self.batch = place, user, batch
        self.acknowledged = []  # (number, id)
        self.failure = None
        self.start()

    def body(self, n):
        return {"sender": "bob", "receiver": self.user, "message": n, "key": f"{self.user}-{n}"}

    def send(self, http, first):
        if self.batch == 1:
            answer = http.post("/send-message", json=self.body(first))
            told = [answer.json()]
        else:
            lines = [json.dumps(self.body(n)) for n in range(first, first + self.batch)]
            answer = http.post("/send-messages", content="\n".join(lines),
                               headers={"Content-Type": "application/x-ndjson"})
            told = [json.loads(line) for line in answer.text.splitlines()]
        assert answer.status_code == 200 and len(told) == self.batch, answer.text
        for n, one in enumerate(told, first):
            assert one["kept"] and one["durable"], one
            self.acknowledged.append((n, one["id"]))
        return first + self.batch

    def run(self):
        number, server, http = 0, None, None
        try:
            while not self.place.ended.is_set():
                if server is not self.place.server:
                    server = self.place.server
                    http = http_client(server.url)
                try:
                    number = self.send(http, number)
                except httpx.TransportError:
                    time.sleep(0.01)
        except BaseException as failure:  # told by finish()
            self.failure = failure

    def finish(self):
        self.join(2 * DEADLINE)
        assert self.failure is None and not self.is_alive(), self.failure
        assert [n for n, _ in self.acknowledged] == list(range(len(self.acknowledged)))
        return self.acknowledged


class Receiver(threading.Thread):
    """A client that keeps its cursor."""

    def __init__(self, place, user):
        super().__init__(daemon=True)
        self.place, self.user = place, user
        self.cursor, self.got, self.failure = "0", [], None
        self.start()

    def listen(self, server):
        with Client(server.port, f"/ws/{self.user}?format=json&after={self.cursor}",
                    timeout=DEADLINE) as client:
            assert client.recv_json()["type"] == "welcome"
            while True:
                told = client.recv_json()
                if told["type"] == "bye":
                    return
                assert told["type"] == "message" and told["id"] > self.cursor, told
                if told["message"] == "end":
                    self.place.ended.wait(DEADLINE)
                    raise StopIteration
                self.cursor = told["id"]
                self.got.append(told["message"])

    def run(self):
        try:
            while True:
                try:
                    self.listen(self.place.server)
                except (Ended, OSError):
                    time.sleep(0.01)
        except StopIteration:
            pass
        except BaseException as failure:  # told by finish()
            self.failure = failure

    def finish(self):
        self.join(2 * DEADLINE)
        assert self.failure is None and not self.is_alive(), self.failure
        return self.got


def acknowledged(senders):
    return sum(len(s.acknowledged) for s in senders)
