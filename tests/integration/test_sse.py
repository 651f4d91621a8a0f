"""Server-Sent Events: the same messages, ids and cursors for who cannot speak WebSocket."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from frames import Client
from harness import DEADLINE, AnswerReader, answers_of, request, scaled, wait_until
from streams import Ended, Events, is_online, session, tell
from witness import is_sanitized

PAGE = "http://localhost:3000"
KEEP_ALL = ("--keep-messages", "1000000", "--keep-bytes", "1GiB", "--keep-total", "1GiB")

pytestmark = pytest.mark.workers


def count(server, **labels):
    return server.metric("sessions", transport="sse", **labels)


# ---- the form ----

def test_a_stream_is_written_as_event_streams_are(shared, user):
    with shared.connect() as sock:
        sock.sendall(request("GET", f"/sse/{user}"))
        data = b""
        while data.count(b"\n\n") < 1:
            data += sock.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        lines = body.decode().split("\n")
        assert lines[0] == "retry: 2000" and lines[1].startswith("id: ")
        assert lines[2] == "event: welcome"
        welcome = json.loads(lines[3].removeprefix("data: "))
        assert lines[4:] == ["", ""]
        assert welcome == {"type": "welcome", "session": welcome["session"], "user": user,
                           "cursor": lines[1].removeprefix("id: "), "heartbeat": 15}
        sent = tell(shared, "line one\nline two\r\u2028é", receiver=user)
        data = b""
        while b"\n\n" not in data:
            data += sock.recv(65536)
        lines = data.decode().split("\n")
        assert lines[:2] == [f"id: {sent['id']}", "event: message"] and lines[3:] == ["", ""]
        frame = json.loads(lines[2].removeprefix("data: "))
        assert frame == {"type": "message", "id": sent["id"], "sender": "bob",
                         "message": "line one\nline two\r\u2028é", "sent_at": frame["sent_at"]}


def test_its_head_tells_proxies_and_browsers_not_to_hold_it_back(shared, user):
    with Events(shared, user) as sse:
        assert sse.headers["content-type"] == "text/event-stream"
        assert sse.headers["cache-control"] == "no-store, no-transform"
        assert sse.headers["x-accel-buffering"] == "no"
        assert sse.headers["vary"] == "Origin"
        assert sse.headers["x-request-id"]
        assert "content-length" not in sse.headers
        assert "transfer-encoding" not in sse.headers
        assert "access-control-allow-origin" not in sse.headers
    with Events(shared, user, headers=["X-Request-Id: mine"]) as sse:
        assert sse.headers["x-request-id"] == "mine"


def test_head_is_answered_and_opens_nothing(shared, user):
    with shared.connect() as sock:
        reader = AnswerReader(sock)
        for _ in range(2):  # on one connection
            sock.sendall(request("HEAD", f"/sse/{user}"))
            answer = reader.next(head_only=True)
            assert answer.status == 200
            assert answer.headers["content-type"] == "text/event-stream"
        assert not is_online(shared, user)
        sock.sendall(request("HEAD", f"/sse/{user}?after=x"))
        assert reader.next(head_only=True).status == 400


def test_pages_of_this_machine_may_read_it_and_others_may_not(shared, user):
    with Events(shared, user, headers=[f"Origin: {PAGE}"]) as sse:
        assert sse.headers["access-control-allow-origin"] == PAGE
        assert sse.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in sse.headers
    with Events(shared, user, headers=["Origin: http://evil.example"], status=403) as sse:
        assert "access-control-allow-origin" not in sse.headers
    answer = shared.http.get(f"/sse/{user}", headers={"Host": "evil.example"})
    assert answer.status_code == 403
    answer = shared.http.options(f"/sse/{user}", headers={
        "Origin": PAGE, "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "last-event-id"})
    assert answer.status_code == 204
    answer = shared.http.get(f"/sse/{user}?after=x", headers={"Origin": PAGE})
    assert answer.status_code == 400  # what went wrong can be read as well
    assert answer.headers["access-control-allow-origin"] == PAGE


def test_only_get_head_and_post(shared, user):
    answer = shared.http.delete(f"/sse/{user}")
    assert answer.status_code == 405 and "GET" in answer.headers["allow"]
    assert shared.http.get("/sse/").status_code in (400, 404)
    assert shared.http.get("/sse/a%2Fb").status_code == 400


# ---- cursors ----

def test_last_event_id_wins_over_after(shared, user):
    ids = [tell(shared, n, receiver=user)["id"] for n in range(5)]
    for query, headers, first in (
            ("after=0", [], 0), (f"after={ids[1]}", [], 2), ("", [f"Last-Event-ID: {ids[2]}"], 3),
            (f"after={ids[0]}", [f"Last-Event-ID: {ids[3]}"], 4),
            (f"after={ids[1]}", ["Last-Event-ID:"], 2), ("", ["Last-Event-ID: 0"], 0),
            # event-source-polyfill comes back with the address it was given, and this
            (f"after={ids[0]}&lastEventId={ids[3]}", [], 4), (f"lastEventId={ids[2]}", [], 3),
            (f"after={ids[1]}&lastEventId=", [], 2),
            (f"lastEventId={ids[1]}", [f"Last-Event-ID: {ids[3]}"], 4)):
        with Events(shared, user, query, headers) as sse:
            assert sse.messages(5 - first) == list(range(first, 5))
    for query, headers in (("after=x", []), ("lastEventId=x", []), ("", ["Last-Event-ID: x"]), ("after=-1", []),
                           ("after=" + "9" * 20, [])):
        with Events(shared, user, query, headers, status=400) as sse:
            assert sse.headers["content-type"] == "application/problem+json"


def test_the_welcome_s_id_resumes_without_loss(shared, user):
    tell(shared, "old", receiver=user)
    with Events(shared, user) as sse:
        cursor = sse.cursor
        assert cursor == sse.welcome["cursor"] != ""
    tell(shared, "between", receiver=user)
    with Events(shared, user, headers=[f"Last-Event-ID: {cursor}"]) as sse:
        assert sse.cursor == cursor
        assert sse.messages(1) == ["between"]


def test_a_gap_is_an_event_without_an_id(start):
    server = start("--broker", "memory", "--keep-messages", "10")
    ids = [tell(server, n, receiver="ann")["id"] for n in range(40)]
    with Events(server, "ann", f"after={ids[2]}") as sse:
        gap = sse.next()
        assert gap.event == "gap" and gap.id is None  # so a browser's cursor stays
        assert gap.json == {"type": "gap", "after": ids[2], "resumes": gap.json["resumes"]}
        first = sse.message()["message"]
        assert 27 <= first <= 31
        assert sse.messages(39 - first) == list(range(first + 1, 40))


# ---- life ----

def test_many_streams_of_a_user_each_get_everything(shared, user):
    streams = [Events(shared, user) for _ in range(10)]
    assert tell(shared, "hi", receiver=user)["delivered"] == 10
    for sse in streams:
        assert sse.messages(1) == ["hi"]
    described = shared.http.get(f"/users/{user}").json()
    assert {s["transport"] for s in described["sessions"]} == {"sse"}
    assert {s["id"] for s in described["sessions"]} == {s.welcome["session"] for s in streams}
    for sse in streams:
        sse.close()
    wait_until(lambda: not is_online(shared, user))


@pytest.mark.parametrize("how", ["close", "reset", "shutdown"])
def test_a_client_that_leaves_is_noticed_at_once(shared, user, how):
    sse = Events(shared, user)
    assert is_online(shared, user)
    if how == "reset":
        Client.abort(sse)
    elif how == "shutdown":
        sse.socket.shutdown(socket.SHUT_WR)
    else:
        sse.close()
    wait_until(lambda: not is_online(shared, user), 1)
    sse.close()


def test_a_stream_lives_on_after_its_request_was_answered(shared, user):
    """The library that read the request lets go of the socket, and must not shut it down."""
    with Events(shared, user) as sse:
        for n in range(20):
            tell(shared, n, receiver=user)
            assert sse.messages(1) == [n]
            time.sleep(0.02)


def test_what_a_client_says_later_is_ignored(shared, user):
    with Events(shared, user) as sse:
        before = shared.published()
        sse.socket.sendall(request("POST", "/send-message", "Content-Type: application/json",
                                   body='{"sender":"b","receiver":"a","message":1}'))
        sse.socket.sendall(os.urandom(100_000))
        tell(shared, "still here", receiver=user)
        assert sse.messages(1) == ["still here"]
        assert shared.published() == before + 1
    data = request("GET", f"/sse/{user}") + request("GET", "/healthz")  # pipelined
    with shared.connect() as sock:
        sock.sendall(data)
        time.sleep(0.1)
        sock.shutdown(socket.SHUT_WR)
        got = b""
        while more := sock.recv(65536):
            got += more
    assert answers_of(got) == [200]


def test_other_connections_keep_living_beside_streams(shared, user):
    with shared.connect() as before:
        reader = AnswerReader(before)
        before.sendall(request())
        assert reader.next().status == 200
        # A stream may follow other requests on its connection.
        before.sendall(request() + request("GET", f"/sse/{user}"))
        assert reader.next().status == 200
        while b"\n\n" not in reader.buffer:
            reader._more(DEADLINE)
        assert b"event: welcome" in reader.buffer
        with shared.connect() as after:
            other = AnswerReader(after)
            for _ in range(3):
                after.sendall(request())
                assert other.next().status == 200
            with Events(shared, user):
                pass
            after.sendall(request())
            assert other.next().status == 200
        tell(shared, "hi", receiver=user)
        reader.buffer = b""
        reader._more(DEADLINE)
        assert b'"message":"hi"' in reader.buffer


def test_stopping_says_bye_and_when_to_come_back(start):
    server = start("--retry-spread", "3s")
    tell(server, "kept", receiver="ann")
    with Events(server, "ann", "after=0") as ann, Events(server, "ben") as ben:
        assert ann.messages(1) == ["kept"]
        server.signal(signal.SIGTERM)
        for sse in ann, ben:
            (bye,) = sse.rest()
            assert bye.event == "bye" and bye.id is None
            assert bye.json == {"type": "bye", "code": "stopping", "retry_ms": bye.retry}
            assert 0 <= bye.retry <= 3000
            sse.close()  # else the server waits for it for some seconds
        assert server.wait() == 0


def test_a_backend_may_end_a_user_s_streams(start):
    server = start()
    with Events(server, "ann") as sse:
        assert server.http.delete("/users/ann/sessions").status_code in (200, 204)
        (bye,) = sse.rest()
        assert bye.event == "bye" and bye.json["code"]
    assert not is_online(server, "ann")


@pytest.mark.long
def test_an_idle_stream_gets_a_comment_every_15_seconds(start):
    server = start()
    with Events(server, "ann") as sse:
        for _ in range(2):
            began = time.monotonic()
            assert sse.next(comments=True).comment
            assert 13 < time.monotonic() - began < 17


# ---- live or behind ----

def test_a_reader_that_stops_for_a_while_gets_everything(start):
    server = start(*KEEP_ALL, "--stall-timeout", "10m", "--queue-high", "16KiB")
    total = scaled(1500, least=500)
    with Events(server, "slow", receive_buffer=4096) as slow, Events(server, "slow") as fast:
        reader = threading.Thread(target=lambda: setattr(fast, "got", [
            fast.message()["message"][0] for _ in range(total)]))
        reader.start()
        for n in range(total):
            tell(server, [n, "x" * 20_000], receiver="slow")
        reader.join(3 * DEADLINE)
        assert fast.got == list(range(total))
        wait_until(lambda: count(server, state="behind") == 1)
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        assert [n for n, _ in slow.messages(total)] == list(range(total))
        wait_until(lambda: count(server, state="live") == 2)
        tell(server, "live again", receiver="slow")
        assert slow.messages(1) == fast.messages(1) == ["live again"]
    assert server.metric("gaps_total") == 0


def test_a_reader_that_stops_for_good_is_ended(start):
    server = start(*KEEP_ALL, "--stall-timeout", "1s")
    with Events(server, "gone", receive_buffer=4096) as gone:
        for n in range(1500):
            tell(server, [n, "x" * 5000], receiver="gone")
        wait_until(lambda: server.metric("closed_total", reason="stalled") == 1)
        assert not is_online(server, "gone")
        gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        got = []
        try:
            while True:
                got.append(gone.next())
        except Ended:
            pass
        if got[-1].event == "bye":
            assert got.pop().json["code"] == "stalled"
        numbers = [e.json["message"][0] for e in got]
        assert numbers == list(range(len(numbers)))  # whole, and none left out
    with Events(server, "gone", f"after={got[-1].id}") as again:
        rest = again.messages(1500 - len(numbers))
        assert [n for n, _ in rest] == list(range(len(numbers), 1500))


# ---- limits ----

def test_a_full_server_is_503(start):
    server = start("--max-sessions", "2")
    with Events(server, "ann"), session(server, "ben"):
        with Events(server, "cal", status=503) as refused:
            assert refused.headers["retry-after"]
        assert server.metric("sessions") == 2
        tell(server, "hi", receiver="ann")  # HTTP is served all the same
    wait_until(lambda: server.metric("sessions") == 0)
    with Events(server, "cal"):
        pass


def test_a_user_with_too_many_streams_is_429(start):
    server = start("--max-sessions-per-user", "2")
    with Events(server, "ann"), session(server, "ann"):
        for path in "/sse/ann", "/poll/ann?wait=1":
            answer = server.http.get(path)
            assert answer.status_code == 429 and answer.headers["retry-after"]
        with Events(server, "ben"):
            pass
    wait_until(lambda: not is_online(server, "ann"))
    with Events(server, "ann"):
        pass


def test_an_address_with_too_many_streams_is_429(start):
    server = start("--max-sessions-per-ip", "2")
    with Events(server, "ann"), Events(server, "ben"):
        with Events(server, "cal", status=429) as refused:
            assert refused.headers["retry-after"]
    wait_until(lambda: server.metric("sessions") == 0)
    with Events(server, "cal"):
        pass


def private_bytes(server):
    with open(f"/proc/{server.pid}/smaps_rollup") as rollup:
        rows = dict(line.split(":") for line in rollup.read().splitlines()[1:])
    return sum(int(rows[name].split()[0]) for name in ("Private_Clean", "Private_Dirty")) * 1024


@pytest.mark.long
def test_an_idle_stream_costs_at_most_600_bytes(start):
    server = start("--workers", "1")
    if is_sanitized(server):
        pytest.skip("a sanitizer's memory says nothing")
    step, rounds = 2000, 3
    streams = []

    def grow():
        for _ in range(step):
            streams.append(Events(server, f"u{len(streams)}"))
        time.sleep(1.5)

    try:
        grow()  # what the first ones need: maps, arenas
        before = private_bytes(server)
        for _ in range(rounds):
            grow()
        each = (private_bytes(server) - before) / (step * rounds)
        assert count(server) == step * (rounds + 1)
        tell(server, "hi", receiver="u77")
        assert streams[77].messages(1) == ["hi"]
    finally:
        for sse in streams:
            sse.close()
    assert each <= 600, each


def test_many_streams_come_and_go_and_leave_nothing(start):
    server = start()
    fds = server.metric("open_fds")
    for _ in range(3):
        streams = [Events(server, f"u{n}", "channels=all") for n in range(scaled(200, least=40))]
        assert tell(server, "hi", channel="all")["delivered"] == len(streams)
        for sse in streams:
            assert sse.messages(1) == ["hi"]
        for n, sse in enumerate(streams):
            Client.abort(sse) if n % 2 else sse.close()
        wait_until(lambda: count(server) == 0)
    wait_until(lambda: server.metric("open_fds") <= fds + 1)


# ---- clients of others ----

def test_curl_shows_events_as_they_come(shared, user):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    with subprocess.Popen(["curl", "-sN", f"localhost:{shared.port}/sse/{user}"],
                          stdout=subprocess.PIPE, text=True) as curl:
        try:
            lines = iter(curl.stdout.readline, "")
            assert next(lines) == "retry: 2000\n"
            assert next(lines).startswith("id: ")
            assert next(lines) == "event: welcome\n"
            next(lines), next(lines)
            sent = tell(shared, "hi, curl", receiver=user)
            assert next(lines) == f"id: {sent['id']}\n"
            assert next(lines) == "event: message\n"
            assert '"message":"hi, curl"' in next(lines)
        finally:
            curl.kill()
