"""A session is live or behind: slow readers lose nothing that is kept, cost no memory beyond the
configured bound, and disturb nobody."""

import json
import random
import re
import selectors
import socket
import threading
import time

import pytest

from frames import CLOSE, TEXT, Client
from harness import DEADLINE, DURABLE, scaled, wait_until
from witness import Growth, processor_seconds

# By one connection each message waits for the one before, and with sync=full for the disk.
KEEP_ALL = ("--keep-messages", "1000000", "--keep-bytes", "1GiB", "--keep-total", "1GiB",
            "--recent-bytes", "1MiB", "--sync", "normal")
NO_STALL = ("--stall-timeout", "10m", "--heartbeat", "10m")
SMALL_WINDOW = 4096
KEPT = 2.5  # times the messages in memory: each with a frame made of it, and what holds both
CACHES = 28 << 20  # of SQLite, and of the log that it maps


def held(server):
    """What the broker may hold in memory: all it keeps, or what is recent and as much again that
    waits for the index."""
    return CACHES + KEPT * (2 << 20) if DURABLE else KEPT * server.metric("broker_bytes")


def numbered(count, start=0, total=10 << 20):
    """Messages that tell their numbers; so long that however few they are, no kernel buffers the
    bytes of all of them."""
    filling = "x" * (total // count)
    return ([n, filling] for n in range(start, count))


def publish(server, user, bodies):
    """Sends many messages by one connection, without waiting for each answer."""
    with server.connect() as http:
        http.settimeout(6 * DEADLINE)
        bodies, answered = list(bodies), 0
        for at in range(0, len(bodies), 100):
            batch = []
            for body in bodies[at : at + 100]:
                fields = {"sender": "bob", "receiver": user, "message": body}
                text = json.dumps(fields).encode()
                batch.append(b"POST /send-message HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                             b"application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
            http.sendall(b"".join(batch))
            data = b""
            while data.count(b'"Message sent"') < len(batch):
                more = http.recv(1 << 18)
                assert more and b"HTTP/1.1 4" not in data and b"HTTP/1.1 5" not in data, data[-500:]
                data += more
            answered += len(batch)
        assert answered == len(bodies)


def session(server, user, query="", window=SMALL_WINDOW):
    client = Client(server.port, f"/ws/{user}?format=json{query}", timeout=3 * DEADLINE,
                    receive_buffer=window)
    client.welcome = client.recv_json()
    assert client.welcome["type"] == "welcome"
    return client


def open_window(client):
    """From now on it reads as fast as anybody."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)


def behind(server):
    return server.metric("sessions", state="behind")


def read_numbers(client, count):
    """The numbers of that many messages, whose ids rise; anything else but pings fails."""
    return [message[0] for message in read_messages(client, count)]


def read_messages(client, count):
    got, last = [], ""
    while len(got) < count:
        data = client.recv_json()
        assert data["type"] == "message", data
        assert data["id"] > last
        last = data["id"]
        got.append(data["message"])
    return got


class Neighbour(threading.Thread):
    """Another user: sent a message every now and then, and expects it at once."""

    def __init__(self, server, user="neighbour"):
        super().__init__(daemon=True)
        self.server, self.user = server, user
        self.ended = threading.Event()
        self.slowest, self.count, self.failure = 0.0, 0, None
        self.start()

    def run(self):
        try:
            with session(self.server, self.user, window=None) as client:
                while not self.ended.is_set():
                    began = time.monotonic()
                    self.server.send(self.user, self.count)
                    assert client.recv_json()["message"] == self.count
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    self.count += 1
                    time.sleep(0.02)
        except BaseException as failure:  # told by finish()
            self.failure = failure

    def finish(self):
        self.ended.set()
        self.join(DEADLINE)
        assert self.failure is None and not self.is_alive(), self.failure
        assert self.count >= 3
        return self.slowest


@pytest.mark.workers
def test_a_reader_that_stops_for_a_while_loses_nothing_that_is_kept(start):
    server = start(*KEEP_ALL, *NO_STALL)
    count = scaled(100_000, least=5000)
    with session(server, "slow") as slow, session(server, "slow", window=None) as fast:
        neighbour = Neighbour(server)
        reader = threading.Thread(target=lambda: setattr(fast, "got", read_numbers(fast, count)))
        reader.start()
        # The kernel holds a part, the queue at most its mark; the rest waits in the broker.
        with Growth(server, lambda: (4 << 20) + held(server)):
            publish(server, "slow", numbered(count))
            reader.join(6 * DEADLINE)
        assert fast.got == list(range(count))
        wait_until(lambda: behind(server) == 1)
        described = server.http.get("/users/slow").json()["sessions"]
        assert sorted(s["behind"] for s in described) == [False, True]
        open_window(slow)
        assert read_numbers(slow, count) == list(range(count))
        wait_until(lambda: behind(server) == 0)
        server.send("slow", "live again")
        assert read_messages(slow, 1) == ["live again"]
        assert neighbour.finish() < 10
    assert server.metric("gaps_total") == 0
    assert server.metric("replayed_total") > 0


def test_memory_is_flat_under_a_reader_that_stops(start):
    """With the limits as they are: what they remove is told by a gap, and the rest follows."""
    server = start(*NO_STALL, "--recent-bytes", "1MiB", "--sync", "normal")
    count = scaled(50_000, least=30_000)
    with session(server, "slow") as slow:
        neighbour = Neighbour(server)
        publish(server, "slow", numbered(20_000))  # all limits are reached
        # SQLite's caches may not be full yet; what is sent now is twice as much.
        with Growth(server, (8 if DURABLE else 2) << 20):
            publish(server, "slow", numbered(count, 20_000))
        kept = server.http.get("/users/slow/messages?after=0&limit=1").json()["messages"][0]
        slowest = neighbour.finish()
        assert slowest < 2

        open_window(slow)
        got, last, gap = [], "", None
        while not got or got[-1] != count - 1:
            data = slow.recv_json()
            if data["type"] == "gap":
                assert gap is None and data["after"] == last
                gap = data
                continue
            assert data["type"] == "message" and data["id"] > last
            if gap and last < gap["resumes"]:
                assert data["id"] == kept["id"] > gap["resumes"]
                at_gap = len(got)
            last = data["id"]
            got.append(data["message"][0])
        assert gap
        assert got[:at_gap] == list(range(at_gap))  # what the queue and the kernel held
        assert got[at_gap:] == list(range(kept["message"][0], count))
    assert server.metric("gaps_total") == 1


@pytest.mark.workers
def test_a_thousand_that_fall_behind_at_once_all_catch_up(start):
    subscribers, filling, messages = scaled(1000, least=50), "x" * 2000, 0
    server = start(*KEEP_ALL, *NO_STALL, "--max-sessions-per-user", "2000", "--queue-high", "16KiB")
    clients = [session(server, "herd") for _ in range(subscribers)]
    neighbour = Neighbour(server)
    # The queues hold references to the frames, which exist once.
    with Growth(server, lambda: (8 << 20) + held(server)):
        # Until the kernel takes no more; from all but a few, to whom it may give more room.
        while behind(server) <= 0.9 * subscribers:
            assert messages < 20_000
            publish(server, "herd", ([messages + n, filling] for n in range(200)))
            messages += 200
    read_herd(clients, messages)
    wait_until(lambda: behind(server) == 0)
    server.send("herd", "live again")
    for client in clients:
        assert client.recv_json()["message"] == "live again"
    assert neighbour.finish() < 10
    for client in clients:
        client.socket.close()
    assert server.metric("gaps_total") == 0


def read_herd(clients, count):
    """Every client reads all messages, each once and in order."""
    selector = selectors.DefaultSelector()
    numbers = {}
    for client in clients:
        open_window(client)
        client.socket.setblocking(False)
        selector.register(client.socket, selectors.EVENT_READ, client)
        numbers[client] = []
    end = time.monotonic() + 4 * DEADLINE
    unfinished = set(clients)
    while unfinished:
        assert time.monotonic() < end, f"{len(unfinished)} of {len(clients)} have not caught up"
        for key, _ in selector.select(1):
            client = key.data
            client.received += client.socket.recv(1 << 18)
            got = [int(n) for n in re.findall(rb'"message":\[(\d+),"x{2000}"\]', client.received)]
            if got:
                numbers[client] += got
                del client.received[: client.received.rindex(b'x"]') + 3]
            if len(numbers[client]) >= count:
                selector.unregister(client.socket)
                unfinished.discard(client)
    for client in clients:
        assert numbers[client] == list(range(count))
        client.socket.settimeout(DEADLINE)
        while b"}" not in client.received:  # the end of the last message
            client._fill()
        del client.received[: client.received.index(b"}") + 1]


@pytest.mark.workers
def test_a_reader_that_stops_and_goes_gets_each_message_once(start):
    server = start(*KEEP_ALL, *NO_STALL, "--queue-high", "16KiB")
    count, dice = 6_000, random.Random(2)
    bodies = [[n, "y" * dice.choice([10, 100, 6000])] for n in range(count)]
    clients = [session(server, "jo") for _ in range(5)]
    failures, more_than_the_kernel_takes = [], threading.Event()

    def read(client, seed):
        own, got, last = random.Random(seed), [], ""
        stop_at = own.randrange(200)
        try:
            while len(got) < count:
                if own.random() < 0.002:
                    time.sleep(own.random() * 0.3)
                if len(got) == stop_at:
                    assert more_than_the_kernel_takes.wait(2 * DEADLINE)
                data = client.recv_json()
                assert data["type"] == "message" and data["id"] > last
                last = data["id"]
                got.append(data["message"][0])
            assert got == list(range(count))
        except BaseException as failure:
            failures.append(failure)

    readers = [threading.Thread(target=read, args=(c, n)) for n, c in enumerate(clients)]
    for reader in readers:
        reader.start()
    publish(server, "jo", bodies[: count * 2 // 3])
    wait_until(lambda: behind(server) == len(clients))
    more_than_the_kernel_takes.set()
    publish(server, "jo", bodies[count * 2 // 3 :])
    for reader in readers:
        reader.join(4 * DEADLINE)
    assert not failures, failures
    assert server.metric("replayed_total") > 0
    for client in clients:
        client.socket.close()


def test_a_reader_that_stops_under_large_messages_loses_none(start):
    server = start(*KEEP_ALL, *NO_STALL)
    with session(server, "big") as client:
        with Growth(server, lambda: (8 << 20) + held(server)):
            publish(server, "big", ([n, "z" * 60_000] for n in range(600)))
        wait_until(lambda: behind(server) == 1)
        open_window(client)
        assert read_numbers(client, 600) == list(range(600))


def test_messages_of_ttl_0_are_for_those_who_are_not_behind(start):
    server = start(*KEEP_ALL, *NO_STALL)
    with session(server, "slow") as slow, session(server, "slow", window=None) as fast:
        publish(server, "slow", ([n, "x" * 5000] for n in range(2000)))
        assert read_numbers(fast, 2000) == list(range(2000))
        wait_until(lambda: behind(server) == 1)
        answer = server.send("slow", "only now", ttl=0)
        assert answer["delivered"] == 2 and answer["kept"] is False  # an upper bound
        server.send("slow", "later")
        assert read_messages(fast, 2) == ["only now", "later"]
        open_window(slow)
        assert read_numbers(slow, 2000) == list(range(2000))
        assert read_messages(slow, 1) == ["later"]


def test_a_session_that_opens_with_a_cursor_is_behind_until_it_has_read(start):
    server = start(*KEEP_ALL, *NO_STALL)
    count = scaled(50_000, least=5000)
    publish(server, "cal", numbered(count))
    with session(server, "cal", "&after=0") as client:
        wait_until(lambda: behind(server) == 1)
        open_window(client)
        assert read_numbers(client, count) == list(range(count))
        wait_until(lambda: behind(server) == 0)
    assert server.metric("replayed_total") == count


# ---- readers that stop for good ----

def test_a_reader_that_stops_for_good_is_closed_and_counted(start):
    server = start(*KEEP_ALL, "--stall-timeout", "1s")
    bodies = [[n, "x" * 5000] for n in range(3000)]
    with session(server, "gone") as gone:
        neighbour = Neighbour(server)
        publish(server, "gone", bodies)
        began = time.monotonic()
        wait_until(lambda: server.metric("closed_total", reason="stalled") == 1)
        assert time.monotonic() - began < 4
        assert not server.http.get("/users/gone").json()["online"]
        assert neighbour.finish() < 10
        # It wakes up after all: whole frames, and the reason.
        open_window(gone)
        got = []
        while (data := gone.recv_data()).opcode != CLOSE:
            got.append(data.json)
        assert data.code == 4508
        assert (got[-1]["type"], got[-1]["code"]) == ("bye", "stalled")
        numbers = [m["message"][0] for m in got[:-1]]
        assert numbers == list(range(len(numbers)))
    with session(server, "gone", f"&after={got[-2]['id']}", window=None) as again:
        rest = read_numbers(again, len(bodies) - len(numbers))
        assert rest == list(range(len(numbers), len(bodies)))


def test_one_that_stalls_and_then_leaves_costs_no_time(start):
    server = start(*KEEP_ALL, "--stall-timeout", "1s")
    clients = [session(server, "gone") for _ in range(5)]
    publish(server, "gone", ([n, "x" * 5000] for n in range(2000)))
    wait_until(lambda: server.metric("closed_total", reason="stalled") == 5)
    for client in clients:
        client.shutdown()
    used = processor_seconds(server)
    time.sleep(1)
    assert processor_seconds(server) - used < 0.3
    for client in clients:
        client.socket.close()


def test_a_reader_that_is_slow_but_reads_lives(start):
    server = start(*KEEP_ALL, "--stall-timeout", "2s", "--heartbeat", "1s")
    publish(server, "snail", ([n, "x" * 5000] for n in range(2000)))  # nobody waits for the machine
    with session(server, "snail", "&after=0") as snail:
        end, last = time.monotonic() + 5, -1
        while time.monotonic() < end:  # 200 KB/s
            for _ in range(10):
                data = snail.recv_data()
                assert data.opcode == TEXT
                assert data.json["message"][0] == last + 1
                last += 1
            time.sleep(0.25)
        assert server.http.get("/users/snail").json()["online"]
    assert server.metric("closed_total", reason="stalled") == 0


def test_many_that_stop_for_good_give_everything_back(start):
    server = start("--stall-timeout", "1s", "--queue-high", "64KiB")
    fds = server.metric("open_fds")
    clients = [session(server, "gone") for _ in range(scaled(100, least=20))]
    publish(server, "gone", ([n, "x" * 5000] for n in range(1000)))
    wait_until(lambda: server.metric("closed_total", reason="stalled") == len(clients))
    wait_until(lambda: server.metric("open_fds") <= fds + 1)  # though none of them answers
    for client in clients:
        client.socket.close()
