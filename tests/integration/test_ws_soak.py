"""Clients of all tempers at once. Whatever each does, one that keeps its cursor gets every message
of its user once and in order."""

import json
import random
import threading
import time

import pytest

import frames
from frames import CONTINUE, PING, Client, close, frame, text
from harness import DEADLINE, scaled, wait_until

USERS = ["ann", "bea", "cal"]


class Temper(threading.Thread):
    """Reads, pauses, talks, misbehaves, leaves and comes back, until it has all of its user's
    messages; `total` is known at the end."""

    def __init__(self, server, user, seed, totals):
        super().__init__(daemon=True)
        self.server, self.user, self.dice, self.totals = server, user, random.Random(seed), totals
        self.cursor, self.next, self.visits, self.failure = "0", 0, 0, None

    def done(self):
        return self.user in self.totals and self.next >= self.totals[self.user]

    def run(self):
        try:
            while not self.done():
                self.visits += 1
                self.visit()
        except BaseException as failure:
            self.failure = failure

    def visit(self):
        window = self.dice.choice([None, 4096, 4096, 65536])
        path = f"/ws/{self.user}?format=json&after={self.cursor}"
        with Client(self.server.port, path, receive_buffer=window, timeout=DEADLINE) as client:
            assert client.recv_json()["cursor"] == self.cursor.zfill(19)
            leave = time.monotonic() + self.dice.random() * 3
            client.socket.settimeout(0.3)
            while not self.done() and time.monotonic() < leave:
                self.act(client)
                for _ in range(self.dice.randrange(200)):
                    try:
                        self.take(client)
                    except TimeoutError:
                        break
            self.part(client)

    def take(self, client):
        got = client.recv()
        if got.opcode != frames.TEXT or got.json["type"] in ("pong", "error"):
            return
        data = got.json
        assert data["type"] == "message", data
        assert data["id"] > self.cursor
        assert data["message"][0] == self.next, (data["message"][0], self.next)
        self.cursor, self.next = data["id"], self.next + 1

    def act(self, client):
        what = self.dice.randrange(6)
        if what == 0:
            time.sleep(self.dice.random() * 0.5)
        elif what == 1:
            client.send(text('{"type":"ping"}') * self.dice.randrange(50))
        elif what == 2:
            client.send(frame(PING, b"x" * self.dice.randrange(126)) * self.dice.randrange(50))
        elif what == 3:
            client.send(text("junk ", fin=False) + frame(PING) + frame(CONTINUE, "junk"))

    def part(self, client):
        what = self.dice.randrange(6)
        try:
            if what == 0:
                client.abort()
            elif what == 1:
                client.send(close(1000))
            elif what == 2:
                client.send(text("half")[:5])
            elif what == 3:
                client.send(text("wrong", rsv=7))
            elif what == 4:
                client.send(text("x" * 60000, fin=False))
        except OSError:
            pass


@pytest.mark.workers
@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.long)])
def test_clients_of_all_tempers_get_each_message_once(start, seconds):
    server = start("--workers", "2", "--keep-messages", "10000000", "--keep-bytes", "2GiB",
                   "--keep-total", "4GiB", "--queue-high", "16KiB")
    fds = server.metric("open_fds")
    totals = {}
    clients = [Temper(server, USERS[n % 3], n, totals) for n in range(scaled(24, least=9))]
    for client in clients:
        client.start()
    sizes, counts, dice = [10, 100, 1000, 20_000], dict.fromkeys(USERS, 0), random.Random(7)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        user = dice.choice(USERS)
        for _ in range(dice.randrange(40)):
            answer = server.http.post("/send-message", content=json.dumps({
                "sender": "bob", "receiver": user,
                "message": [counts[user], "x" * dice.choice(sizes)]}))
            assert answer.status_code == 200
            counts[user] += 1
        time.sleep(dice.random() * 0.05)
    totals.update(counts)
    for client in clients:
        client.join(4 * DEADLINE)
        assert not client.failure, client.failure
        assert client.next == counts[client.user]
    assert sum(client.visits for client in clients) > len(clients)
    assert server.metric("gaps_total") == 0
    wait_until(lambda: server.metric("sessions") == 0)
    wait_until(lambda: server.metric("open_fds") <= fds + 1)
