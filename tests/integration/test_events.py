"""Messages that are events: a name and its arguments, shown alike by every way to receive."""

import json

import pytest

from data_file import ask, wait_for_index
from frames import Client, text
from harness import DURABLE, wait_until
from streams import Events, poll, session, tell

pytestmark = pytest.mark.workers

PHOTO = {"_placeholder": True, "num": 0}
# What is sent, what is shown of it, and what a text session shows.
EVENTS = {
    "message": ({"event": "order", "message": {"n": 1.5}}, {"event": "order", "message": {"n": 1.5}},
                '{"n":1.5}'),
    "one argument": ({"event": "said", "args": ["hi"]}, {"event": "said", "message": "hi"}, "hi"),
    "null": ({"event": "said", "args": [None]}, {"event": "said", "message": None}, "null"),
    "two arguments": ({"event": "said", "args": ["hi", None]}, {"event": "said", "args": ["hi", None]},
                      '["hi",null]'),
    "none": ({"event": "typing", "args": []}, {"event": "typing", "args": []}, "[]"),
    "attachment": ({"event": "photo", "args": [PHOTO, "x"], "attachments": ["AQID"]},
                   {"event": "photo", "args": [PHOTO, "x"], "attachments": ["AQID"]},
                   '[{"_placeholder":true,"num":0},"x"]'),
    "odd name": ({"event": 'a"\n/é', "message": 1}, {"event": 'a"\n/é', "message": 1}, "1"),
}


def send(server, **fields):
    return server.http.post("/send-message", json={"sender": "bob", **fields})


def sent(server, **fields):
    answer = send(server, **fields)
    assert answer.status_code == 200, answer.text
    assert "ignored" not in answer.json()
    return answer.json()["id"]


def said(shown):
    """What a message says, without what all have."""
    return {name: value for name, value in shown.items()
            if name not in ("type", "id", "sender", "sent_at", "channel")}


@pytest.mark.parametrize("given,shown,line", EVENTS.values(), ids=EVENTS)
def test_every_transport_shows_the_event(shared, user, given, shown, line):
    with session(shared, user) as ws, Events(shared, user) as sse, \
            Client(shared.port, f"/ws/{user}") as plain:
        first = sent(shared, receiver=user, **given)
        assert said(ws.recv_json()) == shown
        assert said(sse.message()) == shown
        assert plain.recv().payload == f"[bob]: {line}".encode()
    page, = poll(shared, user, after=0)["messages"]
    assert said(page) == shown
    kept, = shared.http.get(f"/users/{user}/messages?after=0").json()["messages"]
    assert kept["id"] == first and said(kept) == shown
    with session(shared, user, "&after=0") as late:
        assert said(late.recv_json()) == shown


def test_lines_and_frames_bring_events_too(shared, user):
    lines = "\n".join(json.dumps({"sender": "bob", "receiver": user, **line}) for line in [
        {"event": "a", "args": [1, 2]}, {"event": "connect", "args": []}, {"event": "b", "message": 3}])
    answer = shared.http.post("/send-messages", content=lines,
                              headers={"Content-Type": "application/x-ndjson"})
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert [one.get("code") for one in results] == [None, "bad_field", None]
    assert results[1]["field"] == "event"
    with session(shared, user, "&after=0") as ws:
        assert [said(ws.recv_json()) for _ in range(2)] == [
            {"event": "a", "args": [1, 2]}, {"event": "b", "message": 3}]
        ws.send(text(json.dumps({"type": "send", "receiver": user, "event": "c", "args": [], "ref": 1})))
        frames = sorted((ws.recv_json() for _ in range(2)), key=lambda frame: frame["type"])
        assert said(frames[0]) == {"event": "c", "args": []} and frames[1]["type"] == "sent"
        ws.send(text(json.dumps({"type": "send", "receiver": user, "event": "pushwire:x", "args": []})))
        assert ws.recv_json()["code"] == "bad_field"


REFUSED = {
    "reserved": ({"event": "disconnect", "message": 1}, "event"),
    "ours": ({"event": "pushwire:offset", "message": 1}, "event"),
    "too long": ({"event": "e" * 129, "message": 1}, "event"),
    "both": ({"event": "a", "message": 1, "args": []}, "args"),
    "65 arguments": ({"event": "a", "args": [0] * 65}, "args"),
    "no list": ({"event": "a", "args": "x"}, "args"),
    "placeholder": ({"event": "a", "args": [PHOTO]}, "args"),
    "11 attachments": ({"event": "a", "args": [], "attachments": [""] * 11}, "attachments"),
    "no base64": ({"event": "a", "args": [], "attachments": ["AQI"]}, "attachments"),
    "except": ({"message": 1, "except": "me"}, "except"),
}


@pytest.mark.parametrize("given,field", REFUSED.values(), ids=REFUSED)
def test_a_wrong_event_is_told_and_not_sent(shared, user, given, field):
    answer = send(shared, receiver=user, **given)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "bad_field", field)
    assert shared.http.get(f"/users/{user}/messages?after=0").json()["messages"] == []


def test_what_an_event_lacks_is_told(shared, user):
    for given, field in ({"event": "a"}, "args"), ({"args": [1]}, "event"), \
            ({"message": 1, "attachments": ["AQID"]}, "event"):
        answer = send(shared, receiver=user, **given)
        assert (answer.json()["code"], answer.json()["field"]) == ("missing_field", field)


def test_an_event_is_as_large_as_a_message(start):
    server = start("--max-message", "1KiB")
    fits = 1024 - len('["a",""]')
    assert send(server, receiver="ann", event="a", message="x" * fits).status_code == 200
    for more in {"args": ["x" * (fits + 1)]}, {"message": 1, "attachments": ["A" * 1020]}:
        answer = send(server, receiver="ann", event="a", **more)
        assert (answer.status_code, answer.json()["code"]) == (413, "message_too_large")


def test_a_reader_with_a_limit_is_told_of_a_large_event(shared, user):
    with session(shared, user, "&max=1024") as ws:
        sent(shared, receiver=user, event="big", args=["x" * 2000, 1])
        outline = ws.recv_json()
        assert (outline["type"], outline["event"], outline["size"]) == ("too_large", "big", 2012)
        assert "args" not in outline and "message" not in outline


def test_a_key_tells_an_event_from_its_list(shared, user):
    first = sent(shared, receiver=user, event="a", args=[1], key=user)
    assert sent(shared, receiver=user, event="a", message=1, key=user) == first
    assert send(shared, receiver=user, message=["a", 1], key=user).json()["code"] == "key_conflict"


# ---- except ----

@pytest.mark.parametrize("where", [{"receiver": "ann"}, {"channel": "tea"}, {"broadcast": True}],
                         ids=["user", "channel", "broadcast"])
def test_a_session_that_is_left_out_gets_nothing_of_it(start, where):
    server = start("--workers", "2")
    with session(server, "ann", "&channels=tea") as me, session(server, "ann", "&channels=tea") as other, \
            Events(server, "ann", "channels=tea") as sse:
        for n in range(20):
            tell(server, n, **where, **({"except": me.welcome["session"]} if n % 2 else {}))
        assert [other.recv_json()["message"] for _ in range(20)] == list(range(20))
        assert sse.messages(20) == list(range(20))
        assert [me.recv_json()["message"] for _ in range(10)] == list(range(0, 20, 2))
        me.send(text('{"type":"ping"}'))
        assert me.recv_json() == {"type": "pong"}


def test_a_session_that_is_left_out_does_not_catch_it_up_either(start):
    server = start("--queue-high", "16KiB", "--stall-timeout", "60s")
    with Client(server.port, "/ws/ann?format=json", receive_buffer=4096) as me:
        welcome = me.recv_json()
        for n in range(240):  # far more than its queue and the sockets hold
            tell(server, [n, "x" * 60_000], receiver="ann", ttl=60,
                 **({"except": welcome["session"]} if n % 2 else {}))
        wait_until(lambda: server.metric("sessions", transport="websocket", state="behind") == 1)
        assert [me.recv_json()["message"][0] for _ in range(120)] == list(range(0, 240, 2))
        tell(server, "last", receiver="ann")
        assert me.recv_json()["message"] == "last"
    assert server.metric("replayed_total") > 0


def test_who_comes_back_gets_what_its_last_session_did_not(shared, user):
    with session(shared, user) as me:
        tell(shared, 1, receiver=user, **{"except": me.welcome["session"].upper()})
        tell(shared, 2, receiver=user)
        assert me.recv_json()["message"] == 2
    with session(shared, user, "&after=0") as me:
        assert [me.recv_json()["message"] for _ in range(2)] == [1, 2]


# ---- on disk ----

@pytest.mark.skipif(not DURABLE, reason="memory has no data folder")
def test_events_outlive_a_restart(start):
    first = start()
    for given, _, _ in EVENTS.values():
        sent(first, receiver="ann", **given)
    wait_for_index(first)
    first.stop()
    server = start(folder=first.folder)
    kept = server.http.get("/users/ann/messages?after=0").json()["messages"]
    assert [said(one) for one in kept] == [shown for _, shown, _ in EVENTS.values()]


@pytest.mark.skipif(not DURABLE, reason="memory has no data folder")
def test_what_a_later_version_wrote_is_passed_over(start):
    first = start("--broker", "sqlite")
    ids = [sent(first, receiver="ann", event="a", args=[n]) for n in range(3)]
    wait_for_index(first)
    first.stop()
    ask(first, f"UPDATE message SET kind = 9 WHERE id = {int(ids[0])}")
    ask(first, f"UPDATE message SET body = '[[\"a\"' WHERE id = {int(ids[1])}")
    server = start("--broker", "sqlite", folder=first.folder)
    kept = server.http.get("/users/ann/messages?after=0").json()["messages"]
    assert [one["message"] for one in kept] == [2]
    server.stop()
    assert server.log_text().count("cannot be read") == 1
