"""One sender against a scripted server: what it sends, when it tries again, what it raises."""

import json
import os
import threading

import pytest

from conftest import CLOSE, DEADLINE, SENT, answer, problem
from pushwire import Presence, Pushwire, PushwireError, Sent


@pytest.fixture
def push(server):
    with Pushwire(server.url, sender="shop", timeout=DEADLINE) as made:
        yield made


@pytest.fixture
def waits(push, monkeypatch):
    """How long it would have waited; it does not."""
    noted = []
    monkeypatch.setattr(push, "_sleep", noted.append)
    return noted


# ---- what goes out ----

def test_a_message_and_its_answer(server, push):
    server.will(answer())
    assert push.send("alice", {"title": "hi"}, ttl=0) == Sent(SENT["id"], 2, False, True, True)
    (_, line, fields, body), = server.asked
    assert line == "POST /send-message HTTP/1.1" and fields["content-type"] == "application/json"
    told = json.loads(body)
    assert len(told.pop("key")) >= 20
    assert told == {"receiver": "alice", "message": {"title": "hi"}, "sender": "shop", "ttl": 0}


def test_where_it_goes(server, push):
    server.will(*[answer()] * 3)
    push.send(["alice", "bob"], None, key="k")
    push.publish("news", 1, sender="desk")
    push.broadcast("all")
    one, two, three = server.bodies()
    assert one == {"receivers": ["alice", "bob"], "message": None, "sender": "shop", "key": "k"}
    assert (two["channel"], two["sender"]) == ("news", "desk") and three["broadcast"] is True
    assert two["key"] != three["key"]


def test_a_key_and_a_path(server):
    server.will(answer())
    with Pushwire(server.url + "/push/", key="pw_a_b") as push:
        push.send("alice", 1)
    (_, line, fields, body), = server.asked
    assert line == "POST /push/send-message HTTP/1.1"
    assert fields["authorization"] == "Bearer pw_a_b" and "sender" not in json.loads(body)


@pytest.mark.parametrize("to", [None, 7, "", [None], ["alice", ""]])
def test_what_is_no_user_is_not_sent(server, push, to):
    with pytest.raises(TypeError):
        push.send(to, "hi")
    assert server.asked == []


@pytest.mark.parametrize("message", [{1, 2}, float("nan"), b"bytes"])
def test_what_is_no_json_is_not_sent(server, push, message):
    with pytest.raises((TypeError, ValueError)):
        push.send("alice", message)
    assert server.asked == []


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a", "http://", "http://u:p@a", "http://a?b"])
def test_an_url_that_is_none(url):
    with pytest.raises(ValueError):
        Pushwire(url)


# ---- connections ----

def test_a_connection_is_kept(server, push):
    server.will(*[answer()] * 5, problem(422, "bad_field"), answer())
    for n in range(5):
        push.send("alice", n)
    with pytest.raises(PushwireError):
        push.send("alice", 5)
    push.send("alice", 6)
    assert server.connections == 1


def test_one_that_the_server_closed_is_replaced_at_once(server):
    server.last_answers = True
    server.will(*[answer()] * 3)
    with Pushwire(server.url, retry_for=0) as push:
        for n in range(3):
            push.send("alice", n)
    assert server.connections == 3


def test_one_that_the_server_closes_meanwhile_is_replaced_at_once(server):
    server.will(answer(), CLOSE, answer())
    with Pushwire(server.url, retry_for=0) as push:
        push.send("alice", 1)
        push.send("alice", 2)
    _, first, again = server.bodies()
    assert first == again and server.connections == 2


def test_a_fork_has_connections_of_its_own(server, push):
    server.will(*[answer()] * 3)
    push.send("alice", 1)
    child = os.fork()
    if child == 0:
        try:
            push.send("alice", 2)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    push.send("alice", 3)
    assert [number for number, *_ in server.asked] == [1, 2, 1]


def test_many_threads(server, push):
    server.will(*[answer()] * 40)
    threads = [threading.Thread(target=lambda: [push.send("alice", n) for n in range(10)])
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert len(server.asked) == 40 and server.connections <= 4


# ---- trying again ----

@pytest.mark.parametrize("first", [CLOSE, problem(503, "stopping"), problem(409, "in_flight"),
                                   problem(408, "request_timeout"), answer(502, b"<html>")])
def test_what_may_pass_is_tried_again_with_the_same_key(server, push, waits, first):
    server.will(first, first, answer())
    push.send("alice", "hi")
    one, two, three = server.bodies()
    assert one == two == three and len(waits) == 2 and all(0 < wait < 1 for wait in waits)


def test_it_waits_as_long_as_the_server_says(server, push, waits):
    server.will(problem(429, "too_many_requests", "Retry-After: 7"), answer())
    push.send("alice", "hi")
    assert 7 <= waits[0] < 8


def test_it_waits_longer_each_time_and_not_for_ever(server, push, waits):
    server.will(*[problem(503, "overloaded")] * 12, answer())
    push.send("alice", "hi")
    assert max(waits) <= 4 and waits[8] > waits[0] / 8


@pytest.mark.parametrize("status,code", [(400, "bad_json"), (401, "unauthorized"), (403, "forbidden"),
                                         (409, "key_conflict"), (422, "bad_field"), (507, "no_room")])
def test_what_does_not_pass_is_raised(server, push, waits, status, code):
    server.will(problem(status, code, field="receiver", request_id="r7"))
    with pytest.raises(PushwireError) as caught:
        push.send("alice", "hi")
    error = caught.value
    assert (error.code, error.status, error.field, error.request_id) == (code, status, "receiver", "r7")
    assert str(error) == f"{code}: so it is" and not error.passes and waits == []


def test_it_gives_up_in_time(server):
    server.will(*[answer(503, b"busy", "Retry-After: 60")] * 2)
    with Pushwire(server.url) as push, pytest.raises(PushwireError) as caught:
        push.send("alice", "hi")  # at once: the server asks for more time than there is
    assert (caught.value.code, caught.value.retry_after) == ("http_503", 60)
    assert len(server.asked) == 1


def test_who_does_not_answer_is_unreachable(server):
    with Pushwire(server.url, timeout=0.05, retry_for=0) as push, \
            pytest.raises(PushwireError) as caught:
        push.send("alice", "hi")
    assert caught.value.code == "unreachable" and caught.value.passes and caught.value.status is None


def test_nobody_is_there():
    with Pushwire("http://127.0.0.1:1", retry_for=0.3) as push, pytest.raises(PushwireError) as caught:
        push.send("alice", "hi")
    assert caught.value.code == "unreachable" and "refused" in caught.value.detail


def test_closing_ends_the_waiting(server):
    push = Pushwire(server.url)
    server.will(problem(503, "stopping", "Retry-After: 25"))
    raised = []

    def send():
        try:
            push.send("alice", "hi")
        except PushwireError as error:
            raised.append(error.code)

    thread = threading.Thread(target=send)
    thread.start()
    while not server.asked:
        threading.Event().wait(0.005)
    push.close()
    thread.join(DEADLINE)
    assert raised == ["closed"]


def test_an_answer_of_somebody_else(server, push):
    server.will(answer(200, b"<html>"))
    with pytest.raises(PushwireError) as caught:
        push.presence(["alice"])
    assert caught.value.code == "bad_answer"


# ---- many ----

def lines(*results):
    return answer(200, b"".join(json.dumps({"index": at, **told}).encode() + b"\n"
                                for at, told in enumerate(results)))


def refused(status, code):
    return {"status": status, "code": code, "detail": "so it is"}


def sent_lines(request):
    return [json.loads(line) for line in request[3].splitlines()]


def to_alice(*numbers):
    return [{"receiver": "alice", "message": n} for n in numbers]


def test_results_are_in_order(server, push):
    server.will(lines(SENT, refused(422, "bad_field"), {**SENT, "id": "3"}))
    one, two, three = push.send_many(iter(to_alice(1, 2, 3)))
    assert one.id == SENT["id"] and two.code == "bad_field" and three.id == "3"
    told = sent_lines(server.asked[0])
    assert [line["message"] for line in told] == [1, 2, 3] and len({line["key"] for line in told}) == 3
    assert server.asked[0][2]["content-type"] == "application/x-ndjson"
    assert all(line["sender"] == "shop" for line in told)


def test_keys_of_ones_own_are_left(server, push):
    server.will(lines(SENT))
    push.send_many([{"receiver": "alice", "message": 1, "key": "mine", "sender": "me"}])
    assert sent_lines(server.asked[0]) == [{"receiver": "alice", "message": 1, "key": "mine",
                                            "sender": "me"}]


def test_those_that_were_not_taken_are_sent_again(server, push, waits):
    server.will(lines(SENT, refused(503, "overloaded"), SENT, refused(413, "too_many_lines")),
                lines(SENT, SENT, SENT))
    results = push.send_many(to_alice(1, 2, 3, 4, 5))
    assert all(isinstance(result, Sent) for result in results)
    first, again = map(sent_lines, server.asked)
    assert again == [first[1], first[3], first[4]] and len(waits) == 1


def test_what_is_not_taken_in_time_has_its_reason(server):
    server.will(lines(SENT, refused(503, "broker_down")))
    with Pushwire(server.url, retry_for=0) as push:
        one, two, three = push.send_many(to_alice(1, 2, 3))
    assert isinstance(one, Sent) and two.code == "broker_down" and three.code == "overloaded"


def test_many_go_in_several_requests(server, push):
    server.will(lines(*[SENT] * 1000), lines(*[SENT] * 5))
    assert len(push.send_many(to_alice(*range(1005)))) == 1005
    server.will(lines(SENT), lines(SENT))
    push.send_many(to_alice("x" * (3 << 20), "y" * (3 << 20)))
    assert [len(sent_lines(request)) for request in server.asked] == [1000, 5, 1, 1]


def test_what_was_done_before_the_end_is_told(server, push):
    server.will(lines(*[SENT] * 1000), problem(401, "unauthorized"))
    with pytest.raises(PushwireError) as caught:
        push.send_many(to_alice(*range(1005)))
    assert caught.value.code == "unauthorized" and len(caught.value.results) == 1000


def test_none_is_no_request(server, push):
    assert push.send_many([]) == [] and server.asked == []


# ---- asking ----

def test_presence_of_many(server, push):
    server.will(*[answer(200, {"users": [{"user": user, "online": True, "sessions": 2,
                                          "last_seen": None}]}) for user in ("a", "b")])
    assert push.presence([f"u{n}" for n in range(1001)]) == {"a": Presence(True, 2, None),
                                                              "b": Presence(True, 2, None)}
    assert [len(body["users"]) for body in server.bodies()] == [1000, 1]


def test_events(server, push):
    sent = answer(200, {"id": "1", "kept": True, "durable": True})
    stored = {"id": "1", "sender": "bob", "sent_at": "t", "event": "order"}
    server.will(sent, answer(200, {"messages": [{**stored, "message": 7}, {**stored, "args": [1, 2]}],
                                   "next": "1", "more": False, "gap": None}))
    push.send("alice", {"n": 1}, event="order")
    body = json.loads(server.asked[0][-1])
    assert (body["event"], body["message"]) == ("order", {"n": 1})
    one, two = push.history("alice").messages
    assert (one.event, one.message, one.args) == ("order", 7, None)
    assert (two.event, two.message, two.args) == ("order", [1, 2], [1, 2])


def test_history(server, push):
    page = {"messages": [{"id": "1", "sender": "bob", "message": "hi", "sent_at": "t"}],
            "next": "1", "more": False, "gap": {"after": "0", "resumes": "1"}}
    server.will(*[answer(200, page)] * 2)
    assert push.history("al ice?", after="0", limit=5).gap.resumes == "1"
    assert push.history(channel="news").messages[0].message == "hi"
    assert [line for _, line, *_ in server.asked] == [
        "GET /users/al%20ice%3F/messages?after=0&limit=5 HTTP/1.1",
        "GET /channels/news/messages?before=&limit=100 HTTP/1.1"]
    for wrong in ({}, {"user": "a", "channel": "b"}):
        with pytest.raises(TypeError):
            push.history(**wrong)
