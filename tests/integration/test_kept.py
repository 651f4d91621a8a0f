"""What must be kept is there, and what is not there is told: a random life of a few mailboxes, with
restarts and kills, against a model. Whatever happens, a message that nobody erased, whose time is not
over, and that never had `keep_messages` living ones before it, can be read."""

import random
import time

import pytest

pytestmark = pytest.mark.workers

KEEP = 20
TTL = 3
SLACK = 0.3  # seconds that clocks and restarts may disagree by
TTLS = [None, 60] + 8 * [1]  # so that few are alive at once, and many are over
USERS = ["u1", "u2", "u3"]


class Sent:
    """What the model knows of a message: when it lives, at the least and at the most."""

    def __init__(self, number, users, ttl, began, answer):
        self.number, self.users, self.id = number, set(users), answer["id"]
        self.own = ttl is not None
        self.until = began + (ttl if self.own else TTL) - SLACK
        self.began, self.gone = began, time.time() + (ttl if self.own else TTL) + SLACK


def most_alive(messages):
    """The most of them that may have been alive at once."""
    ends = [(m.began, 1) for m in messages] + [(m.gone, -1) for m in messages]
    most = count = 0
    for _, step in sorted(ends):
        count += step
        most = max(most, count)
    return most


class Model:
    def __init__(self, server, seed):
        self.server, self.random, self.sent = server, random.Random(seed), []
        self.number = 0

    def publish(self):
        users = self.random.sample(USERS, self.random.choice([1, 1, 1, 2]))
        ttl = self.random.choice(TTLS)
        self.number += 1
        body = {"sender": "bob", "receivers": users, "message": self.number}
        if ttl is not None:
            body["ttl"] = ttl
        began = time.time()
        answer = self.server.http.post("/send-message", json=body)
        assert answer.status_code == 200, answer.text
        self.sent.append(Sent(self.number, users, ttl, began, answer.json()))

    def erase(self):
        user = self.random.choice(USERS)
        assert self.server.http.delete(f"/users/{user}/messages").status_code == 200
        for message in self.sent:
            message.users.discard(user)

    def read(self):
        user = self.random.choice(USERS)
        after = "0"
        if self.sent and self.random.random() < 0.5:
            after = self.random.choice(self.sent).id
        asked = time.time()
        page = self.server.http.get(f"/users/{user}/messages",
                                    params={"after": after, "limit": 1000}).json()
        self.judge(user, after, page, asked, time.time())

    def judge(self, user, after, page, asked, answered):
        told = [m["message"] for m in page["messages"]]
        assert told == sorted(set(told))
        assert after != "0" or page["gap"] is None
        mine = [m for m in self.sent if user in m.users]
        numbers = {m.number: m for m in mine}
        for number in told:
            assert number in numbers, f"{number} is not for {user}, or was erased"
            assert asked < numbers[number].gone, f"{number} is over"
        for at, message in enumerate(mine):
            if message.id <= after or message.number in told:
                continue
            newer = most_alive(mine[at + 1:])
            assert message.until <= answered or newer >= KEEP, \
                f"{user} lost {message.number}, {newer} living ones came later"
            if after != "0" and not (message.own and message.until <= answered + 2 * SLACK):
                assert page["gap"], f"{user} is not told of {message.number}"

    def step(self):
        die = self.random.random()
        if die < 0.7:
            self.publish()
        elif die < 0.965:
            self.read()
        elif die < 0.97:
            self.erase()
        else:
            time.sleep(1.1)  # in which the index is filled, and much gets over


def live(start, broker, seed, steps):
    options = ("--broker", broker, "--keep-messages", str(KEEP), "--ttl", f"{TTL}s",
               "--recent-bytes", "1MiB")
    server = start(*options)
    model = Model(server, seed)
    for _ in range(steps):
        model.step()
        if model.random.random() < 0.01 and broker == "sqlite":
            server.kill() if model.random.random() < 0.7 else server.stop()
            model.server = server = start(*options, folder=server.folder)
    for _ in range(20):
        model.read()


@pytest.mark.parametrize("broker", ["sqlite", "memory"])
def test_what_must_be_kept_is_there(start, broker):
    live(start, broker, seed=5, steps=150)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("broker", ["sqlite", "memory"])
def test_what_must_be_kept_is_there_for_long(start, broker, seed):
    live(start, broker, seed, steps=1000)
