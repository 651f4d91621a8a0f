"""What all connections hold together has a limit (`max_buffered`), whoever does not read, does not go on,
or says more than the disk takes; and who asks for little is served meanwhile."""

import socket
import time

import pytest

from disk import Disk, skip_where_impossible
from frames import Client, text
from harness import AnswerReader, request, scaled, wait_until
from witness import Growth

MIB = 1 << 20
LIMIT = 16 * MIB
SLACK = 40 * MIB  # what each connection has beside the sum, and the allocator's


def buffered(start, *args, **options):
    return start("--max-buffered", f"{LIMIT}B", "--workers", "1", *args, **options)


def deaf(server):
    """A connection that takes as little as it can."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(20)
    sock.connect((server.host, server.port))
    return sock


def small_is_served(server):
    assert server.metric("buffered_bytes") <= LIMIT
    assert server.send("carol")["status"] == "Message sent"


def test_who_reads_no_answer_costs_no_more_than_the_limit(start):
    server = buffered(start)
    for _ in range(100):
        server.send("alice", "x" * 40000)
    asked = request("GET", "/users/alice/messages?after=0&limit=1000")
    socks = [deaf(server) for _ in range(scaled(200, 50))]
    try:
        with Growth(server, LIMIT + SLACK):
            for sock in socks:
                sock.sendall(asked)
            small_is_served(server)
            time.sleep(0.5)
            small_is_served(server)
    finally:
        for sock in socks:
            sock.close()
    # All of it is there for the next who reads, page by page.
    found, after = 0, "0"
    while True:
        page = server.http.get("/users/alice/messages",
                               params={"after": after, "limit": 1000}).json()
        found += len(page["messages"])
        after = page["next"]
        if not page["more"]:
            break
    assert found == 100


def test_who_stops_in_a_body_costs_no_more_than_the_limit(start):
    server = buffered(start)
    head = (b"POST /send-message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 260000\r\n\r\n")
    socks = [server.connect() for _ in range(scaled(400, 100))]
    try:
        with Growth(server, LIMIT + SLACK):
            for sock in socks:
                sock.sendall(head + b" " * 250000)
            small_is_served(server)
        answers = []
        for sock in socks:
            sock.sendall(b" " * 10000)
            answers.append(AnswerReader(sock).next())
        assert {answer.status for answer in answers} == {400, 503}
        refused = [answer for answer in answers if answer.status == 503]
        assert all(b'"code":"overloaded"' in answer.body for answer in refused)
        assert {answer.headers["retry-after"] for answer in refused} == {"5"}
    finally:
        for sock in socks:
            sock.close()
    wait_until(lambda: server.http.post(
        "/send-message", content=b" " * 200000 + b'{"sender":"b","receiver":"a","message":1}',
        headers={"Content-Type": "application/json"}).status_code == 200)


def test_an_answer_names_only_a_few_fields_that_it_ignores(shared, user):
    fields = {f"field{i}": 1 for i in range(40)}
    answer = shared.send(user, **fields)
    assert answer["ignored"] == [f"field{i}" for i in range(16)] + ["…"]
    assert shared.send(user, **{"x" * 129: 1})["ignored"] == ["…"]


@pytest.fixture
def hanging(start, tmp_path):
    """A server whose disk hangs, and its disk."""
    skip_where_impossible()
    disk = Disk(tmp_path)
    server = buffered(start, "--broker", "sqlite", env=disk.env)
    server.send("alice")
    disk.order(hang=1)
    with server.connect() as first:  # whoever comes next waits behind it, kept or not
        first.sendall(request("POST", "/send-message",
                              body=b'{"sender":"bob","receiver":"alice","message":1}'))
        wait_until(lambda: disk.told("hanging"))
        yield server, disk
        disk.mend()


def flood(client, frame, seconds):
    """Sends until the server takes no more for so long; returns the bytes."""
    client.socket.settimeout(seconds)
    sent = 0
    try:
        while sent < 200 * MIB:
            sent += client.socket.send(frame)
    except TimeoutError:
        pass
    return sent


@pytest.mark.parametrize("path", ["/ws/bob?format=json", "/rooms/tea?name=bob"])
def test_a_sender_by_frames_waits_for_the_disk(hanging, path):
    server, disk = hanging
    frame = text('{"type":"send","receiver":"alice","message":"%s"}' % ("y" * 500)) * 100
    with Client(server.port, path) as client:
        with Growth(server, LIMIT + SLACK):
            assert flood(client, frame, 2) < 64 * MIB
        disk.mend()
        # It goes on where it stopped: nothing of what was taken is lost.
        wait_until(lambda: server.published() > 500)
    small_is_served(server)


def test_many_senders_by_frames_share_the_limit(hanging):
    server, disk = hanging
    frame = text('{"type":"send","receiver":"alice","message":1}') * 1000
    clients = [Client(server.port, f"/ws/bob{i}?format=json") for i in range(scaled(60, 20))]
    with Growth(server, LIMIT + SLACK):
        for client in clients:
            flood(client, frame, 0.05)
    disk.mend()
    for client in clients:
        client.socket.close()
    wait_until(lambda: server.metric("sessions") == 0)
    wait_until(lambda: server.metric("buffered_bytes") == 0)
    small_is_served(server)
