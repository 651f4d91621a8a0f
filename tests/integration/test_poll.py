"""Long polls: at once when there is something, else when something comes, else empty."""

import json
import signal
import socket
import threading
import time

import pytest

from frames import Client
from harness import DEADLINE, AnswerReader, http_client, request, scaled, wait_until
from streams import is_online, poll, session, tell
from witness import processor_seconds

PAGE = "http://localhost:3000"

pytestmark = pytest.mark.workers


def bodies(page):
    return [m["message"] for m in page["messages"]]


class Waiting:
    """A poll that is on its way, on a connection of its own."""

    def __init__(self, server, user, query="", headers=(), port=None):
        self.socket = socket.create_connection(("127.0.0.1", port or server.port))
        self.reader = AnswerReader(self.socket)
        self.socket.sendall(request("GET", f"/poll/{user}?{query}", *headers))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def is_quiet(self, seconds=0.15):
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True

    def answer(self):
        return self.reader.next()

    def page(self):
        answer = self.answer()
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        return json.loads(answer.body)


def waiting(server, user, query="", **more):
    """A poll of which the server knows that it waits."""
    made = Waiting(server, user, query, **more)
    wait_until(lambda: any(s["transport"] == "poll"
                           for s in server.http.get(f"/users/{user}").json()["sessions"]))
    return made


# ---- at once, or later ----

def test_what_lies_after_the_cursor_comes_at_once(shared, user):
    ids = [tell(shared, n, receiver=user)["id"] for n in range(5)]
    began = time.monotonic()
    page = poll(shared, user, after=ids[1], wait=20)
    assert bodies(page) == [2, 3, 4] and page["next"] == ids[4]
    assert page["more"] is False and page["gap"] is None
    assert page["messages"][0] == {"id": ids[2], "sender": "bob", "message": 2,
                                   "sent_at": page["messages"][0]["sent_at"]}
    assert bodies(poll(shared, user, after=0, wait=20)) == [0, 1, 2, 3, 4]
    assert time.monotonic() - began < 5


def test_else_it_waits_until_something_comes(shared, user):
    first = tell(shared, "first", receiver=user)["id"]
    with waiting(shared, user, f"after={first}&wait=20") as one:
        assert one.is_quiet()
        sent = tell(shared, "second", receiver=user)
        assert sent["delivered"] == 1
        page = one.page()
        assert bodies(page) == ["second"] and page["next"] == sent["id"]
        assert page["more"] is False and page["gap"] is None
        assert one.socket.recv(1) == b""  # it was the connection's last answer


def test_without_after_it_starts_now(shared, user):
    tell(shared, "old", receiver=user)
    with waiting(shared, user, "wait=20") as one:
        assert one.is_quiet()
        tell(shared, "new", receiver=user)
        assert bodies(one.page()) == ["new"]
    page = poll(shared, user, wait=0)
    assert page["messages"] == [] and len(page["next"]) == 19
    tell(shared, "newer", receiver=user)
    assert bodies(poll(shared, user, after=page["next"])) == ["newer"]


def test_nothing_within_wait_is_an_empty_page_at_its_own_cursor(shared, user):
    first = tell(shared, 1, receiver=user)["id"]
    tell(shared, 2, receiver=f"not-{user}")
    empty = {"messages": [], "next": first, "more": False, "gap": None}
    assert poll(shared, user, after=first, wait=0) == empty
    began = time.monotonic()
    assert poll(shared, user, after=first, wait=1) == empty
    assert 0 < time.monotonic() - began < 4
    page = poll(shared, user, wait=1)
    assert page["messages"] == [] and page["next"] >= first
    tell(shared, 3, receiver=user)
    assert bodies(poll(shared, user, after=page["next"], wait=0)) == [3]


def test_the_default_wait_is_configured(start):
    server = start("--poll-wait", "1s")
    began = time.monotonic()
    answer = server.http.get("/poll/ann")
    assert answer.json()["messages"] == [] and time.monotonic() - began < 5


@pytest.mark.parametrize("query", ["wait=56", "wait=-1", "wait=x", "wait=1.5", "wait=",
                                   "wait=99999999999999999999", "after=x", "after=-1",
                                   "after=99999999999999999999"])
def test_wrong_parameters_are_400(shared, user, query):
    answer = shared.http.get(f"/poll/{user}?{query}", headers={"Origin": PAGE})
    assert answer.status_code == 400 and answer.json()["field"] == query.partition("=")[0]
    assert answer.headers["access-control-allow-origin"] == PAGE


def test_wait_55_is_allowed(shared, user):
    with waiting(shared, user, "wait=55") as one:
        tell(shared, 1, receiver=user)
        assert bodies(one.page()) == [1]


def test_messages_of_one_turn_come_together_or_in_the_next_page(start):
    server = start()
    cursor = poll(server, "ann", wait=0)["next"]
    with waiting(server, "ann", f"after={cursor}") as one, server.connect() as sock:
        batch = [request("POST", "/send-message", "Content-Type: application/json",
                         body='{"sender":"bob","receiver":"ann","message":%d}' % n)
                 for n in range(300)]
        sock.sendall(b"".join(batch))
        page = one.page()
        answers = AnswerReader(sock)
        assert [answers.next().status for _ in batch] == [200] * 300
    got = bodies(page)
    while page["more"] or len(got) < 300:
        page = poll(server, "ann", after=page["next"], wait=0)
        assert page["messages"], got  # all are answered, so all are there
        got += bodies(page)
    assert got == list(range(300))


def test_receivers_and_channels_of_one_turn_rise(shared, user):
    with waiting(shared, user, f"channels={user},other-{user}") as one:
        tell(shared, 1, channel=f"other-{user}")
        page = one.page()
        assert page["messages"][0]["channel"] == f"other-{user}"
    tell(shared, 2, receiver=user)
    tell(shared, 3, channel=user)
    tell(shared, 4, channel=f"elsewhere-{user}")
    rest = poll(shared, user, after=page["next"], channels=f"{user},other-{user}")
    assert bodies(rest) == [2, 3]


def test_more_than_a_page_says_so(start):
    server = start()
    ids = [tell(server, n, receiver="ann")["id"] for n in range(250)]
    got, after, pages = [], "0", 0
    while True:
        page = poll(server, "ann", after=after, wait=0)
        got += bodies(page)
        pages += 1
        assert page["next"] == ids[len(got) - 1]
        after = page["next"]
        if not page["more"]:
            break
    assert got == list(range(250)) and pages >= 3
    for n in range(20):
        tell(server, [n, "x" * 60_000], receiver="big")
    page = poll(server, "big", after=0, wait=0)
    assert page["more"] is True and 1 <= len(page["messages"]) < 20
    rest = poll(server, "big", after=page["next"], wait=0)
    assert rest["messages"][0]["message"][0] == len(page["messages"])


def test_gaps_are_told_in_the_page(start):
    server = start("--broker", "memory", "--keep-messages", "10")
    ids = [tell(server, n, receiver="ann")["id"] for n in range(40)]
    page = poll(server, "ann", after=ids[3])
    assert page["gap"] == {"after": ids[3], "resumes": page["gap"]["resumes"]}
    assert page["gap"]["resumes"] < page["messages"][0]["id"]
    assert bodies(page)[-1] == 39 and page["next"] == ids[39]
    assert poll(server, "ann", after=0)["gap"] is None
    assert poll(server, "ann", after=ids[-2])["gap"] is None
    above = "9223372036854775807"
    page = poll(server, "ann", after=above)
    assert page["messages"] == [] and page["gap"]["after"] == above
    assert ids[-1] <= page["next"] < above and page["next"] == page["gap"]["resumes"]


# ---- who waits ----

@pytest.mark.parametrize("how", ["close", "reset", "shutdown"])
def test_a_client_that_leaves_while_it_waits_is_noticed_at_once(shared, user, how):
    one = waiting(shared, user, "wait=50")
    assert is_online(shared, user)
    if how == "reset":
        Client.abort(one)
    elif how == "shutdown":
        one.socket.shutdown(socket.SHUT_WR)
    else:
        one.socket.close()
    wait_until(lambda: not shared.http.get(f"/users/{user}").json()["sessions"], 1)
    one.socket.close()


def test_a_user_who_polls_is_online_in_between(start):
    server = start()
    assert not is_online(server, "ann")
    poll(server, "ann", wait=0)
    assert is_online(server, "ann")
    with waiting(server, "ann") as one:
        tell(server, 1, receiver="ann")
        one.page()
    assert is_online(server, "ann")
    answered = time.monotonic()
    wait_until(lambda: not is_online(server, "ann"), 15)
    assert 8 < time.monotonic() - answered < 13
    assert server.metric("sessions") == 0


def poll_at_each_worker(server, user):
    for _ in range(32):  # connections go to one worker or another
        with http_client(server.url) as one:
            assert one.get(f"/poll/{user}?wait=0").status_code == 200


def ask(server, user):
    (one,) = server.http.post("/users/query", json={"users": [user]}).json()["users"]
    return one


def test_who_polled_a_moment_ago_is_online_and_no_session(start):
    server = start("--workers", "4")
    poll_at_each_worker(server, "ann")
    told, asked = server.http.get("/users/ann").json(), ask(server, "ann")
    assert told["online"] is asked["online"] is True
    assert told["sessions"] == [] and asked["sessions"] == 0
    assert told["last_seen"] and asked["last_seen"]
    assert tell(server, 1, receiver="ann")["delivered"] == 0
    assert tell(server, 1, broadcast=True)["delivered"] == 0
    with waiting(server, "ann"):
        assert ask(server, "ann")["sessions"] == 1
        assert tell(server, 2, receiver="ann")["delivered"] == 1


def test_polls_one_after_the_other_are_one_session(start):
    server = start("--workers", "4", "--max-sessions-per-user", "1")
    poll_at_each_worker(server, "ann")
    for n in range(8):
        with waiting(server, "ann") as one:
            with http_client(server.url) as other:
                assert other.get("/poll/ann?wait=5").status_code == 429
            tell(server, n, receiver="ann")
            assert bodies(one.page()) == [n]
    with session(server, "ann"):
        assert ask(server, "ann")["sessions"] == 1


def test_a_poll_is_described_as_a_session(shared, user):
    with waiting(shared, user, "wait=20"):
        (one,) = shared.http.get(f"/users/{user}").json()["sessions"]
        assert one["transport"] == "poll" and one["behind"] is False and one["since"]
        assert shared.metric("sessions", transport="poll") >= 1


def test_a_polling_user_is_kicked_with_an_answer(shared, user):
    poll(shared, user, wait=0)
    with waiting(shared, user, "wait=50") as one:
        assert shared.http.delete(f"/users/{user}/sessions").json()["closed"] == 1
        answer = one.answer()
        assert answer.status == 403 and answer.headers["connection"] == "close"
        assert answer.headers["content-type"] == "application/problem+json"
        problem = json.loads(answer.body)
        assert problem["code"] == "kicked" and problem["status"] == 403
        assert problem["request_id"] == answer.headers["x-request-id"]
    assert not shared.http.get(f"/users/{user}").json()["online"]


def test_who_is_kicked_is_offline_wherever_they_polled(start):
    server = start("--workers", "4")
    poll_at_each_worker(server, "ann")
    assert is_online(server, "ann")
    assert server.http.delete("/users/ann/sessions").json()["closed"] == 0
    assert not is_online(server, "ann")


def test_stopping_answers_them_all(start):
    server = start()
    cursor = tell(server, 1, receiver="u0")["id"]
    polls = [waiting(server, f"u{n}", f"after={cursor}&wait=50") for n in range(20)]
    server.signal(signal.SIGTERM)
    for one in polls:
        assert one.page() == {"messages": [], "next": cursor, "more": False, "gap": None}
        one.socket.close()
    began = time.monotonic()
    assert server.wait() == 0 and time.monotonic() - began < 5


def test_a_full_server_is_503_for_who_must_wait(start):
    server = start("--max-sessions", "1")
    with session(server, "ben"):
        answer = server.http.get("/poll/ann?wait=5")
        assert answer.status_code == 503 and answer.headers["retry-after"]
        tell(server, 1, receiver="ann")
        assert bodies(poll(server, "ann", after=0)) == [1]  # who need not wait takes no place


def test_pages_of_this_machine_may_poll(shared, user):
    for query in "wait=0", "wait=1":
        answer = shared.http.get(f"/poll/{user}?{query}", headers={"Origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["vary"] == "Origin"
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"]
    evil = shared.http.get(f"/poll/{user}?wait=1", headers={"Origin": "http://evil.example"})
    assert evil.status_code == 403


def test_head_is_answered_at_once(shared, user):
    with shared.connect() as sock:
        sock.sendall(request("HEAD", f"/poll/{user}?wait=20"))
        sock.settimeout(5)
        got = b""
        while b"\r\n\r\n" not in got:
            got += sock.recv(65536)
        head, _, body = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and body == b""


def test_polls_that_need_not_wait_share_a_connection(shared, user):
    with shared.connect() as sock:
        reader = AnswerReader(sock)
        for _ in range(3):
            sock.sendall(request("GET", f"/poll/{user}?wait=0"))
            assert reader.next().status == 200


def test_many_that_wait_cost_no_time(start):
    server = start()
    polls = [waiting(server, "many", "wait=50&channels=x") if n == 0
             else Waiting(server, "many", "wait=50&channels=x") for n in range(scaled(200, least=50))]
    wait_until(lambda: server.metric("sessions", transport="poll") == len(polls))
    before = processor_seconds(server)
    time.sleep(1)
    assert processor_seconds(server) - before < 0.2
    assert tell(server, "hi", channel="x")["delivered"] == len(polls)
    for one in polls:
        assert bodies(one.page()) == ["hi"]
        one.socket.close()
    wait_until(lambda: server.metric("sessions") == 0)


# ---- no loss ----

def test_a_loop_of_polls_gets_each_message_once(start):
    server = start("--workers", "2")
    total, publishers, failures = scaled(400, least=100), 3, []
    expected = total * publishers + total

    def publish(name):
        try:
            with http_client(server.url) as http:
                for n in range(total):
                    where = [{"receiver": "ann"}, {"channel": "a"}][n % 2]
                    assert http.post("/send-message", json={
                        "sender": name, "message": n, **where}).status_code == 200
        except BaseException as failure:
            failures.append(failure)

    def read(got):
        try:
            with http_client(server.url) as http:
                after, end = "0", time.monotonic() + 3 * DEADLINE
                while len(got) < expected and time.monotonic() < end:
                    page = http.get("/poll/ann", params={
                        "after": after, "channels": "a", "wait": 5}).json()
                    assert page["gap"] is None
                    for message in page["messages"]:
                        assert message["id"] > after
                        after = message["id"]
                        got.append((message["sender"], message["message"]))
                    assert page["next"] == after
        except BaseException as failure:
            failures.append(failure)

    results = [[] for _ in range(3)]
    threads = [threading.Thread(target=publish, args=(name,)) for name in "xyz"]
    threads += [threading.Thread(target=read, args=(got,)) for got in results]
    for thread in threads:
        thread.start()
    for n in range(total):
        tell(server, n, sender="slowly", receiver="ann")
    for thread in threads:
        thread.join()
    assert not failures, failures
    for got in results:
        assert len(got) == expected
        for name in (*"xyz", "slowly"):
            assert [n for sender, n in got if sender == name] == list(range(total))
