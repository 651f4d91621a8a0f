"""JSON sessions may publish by a frame: as their own user, answered with their own ref."""

import json

import pytest

from frames import BINARY, Client, frame, text
from harness import scaled, wait_until
from streams import Events, session, tell

pytestmark = pytest.mark.workers


def ask(client, **fields):
    client.send(text(json.dumps(fields)))
    return client.recv_json()


def test_a_frame_sends_to_a_user(shared, user):
    with session(shared, user) as client, session(shared, f"to-{user}") as other:
        got = ask(client, type="send", ref="r1", receiver=f"to-{user}", message={"n": [1, 2.50]})
        assert got == {"type": "sent", "ref": "r1", "id": got["id"], "delivered": 1}
        sent = other.recv_json()
        assert sent["id"] == got["id"] and sent["sender"] == user
        assert sent["message"] == {"n": [1, 2.5]} and "channel" not in sent
        kept = shared.http.get(f"/users/to-{user}/messages").json()["messages"]
        assert [m["id"] for m in kept] == [got["id"]]


def test_a_frame_sends_to_a_channel(shared, user):
    with session(shared, user, f"&channels={user}") as client, \
            Events(shared, f"to-{user}", f"channels={user}") as other:
        client.send(text(json.dumps({"type": "send", "channel": user, "message": "hi"})))
        first, second = client.recv_json(), client.recv_json()
        sent, own = (first, second) if first["type"] == "sent" else (second, first)
        assert sent == {"type": "sent", "id": own["id"], "delivered": 2}
        assert own["sender"] == user and own["channel"] == user
        assert other.message() == own


def test_the_message_arrives_as_it_was_written(shared, user):
    with session(shared, user) as client, session(shared, f"to-{user}") as other:
        for written in ('1.10', '12345678901234567890123', '1e400', '-0', '"\\u00e9\\ud83d\\ude00"',
                        '{"b":1,"a":{"b":[]}}', 'null', '""'):
            client.send(text('{"message": %s, "type":"send","receiver":"to-%s"}' % (written, user)))
            assert client.recv_json()["type"] == "sent", written
            raw = other.recv_data().payload.decode()
            assert f'"message":{written},' in raw or f'"message":{written}}}' in raw, raw


def test_the_sender_is_the_user_of_the_session(shared, user):
    with session(shared, user) as client, session(shared, f"to-{user}") as other:
        ask(client, type="send", receiver=f"to-{user}", message=1, sender="somebody else")
        assert other.recv_json()["sender"] == user


def test_refs_come_back_as_they_were(shared, user):
    with session(shared, user) as client:
        for ref in "a", "", "é\"\\", 7, -1, 0:
            assert ask(client, type="send", receiver="x", message=1, ref=ref)["ref"] == ref
            assert ask(client, type="send", receiver="x", ref=ref)["ref"] == ref
            assert ask(client, type="no such", ref=ref)["ref"] == ref
        assert "ref" not in ask(client, type="send", receiver="x", message=1)


@pytest.mark.parametrize("fields, code", [
    ({"message": 1}, "missing_field"),
    ({"receiver": "x"}, "missing_field"),
    ({"receiver": "x", "channel": "y", "message": 1}, "bad_field"),
    ({"receiver": "a/b", "message": 1}, "bad_field"),
    ({"receiver": 5, "message": 1}, "bad_field"),
    ({"channel": "", "message": 1}, "bad_field"),
    ({"receivers": ["x"], "message": 1}, "missing_field"),
    ({"broadcast": True, "message": 1}, "missing_field"),
    ({"receiver": "x", "message": 1, "key": ""}, "bad_field"),
    ({"receiver": "x", "message": 1, "key": 5}, "bad_field"),
    ({"receiver": "x", "message": 1, "ttl": -1}, "bad_field"),
    ({"receiver": "x", "message": 1, "ttl": "1"}, "bad_field"),
])
def test_what_cannot_be_sent_is_an_error_with_the_ref(shared, user, fields, code):
    with session(shared, user) as client:
        before = shared.published()
        got = ask(client, type="send", ref="r", **fields)
        assert (got["type"], got["code"], got["ref"]) == ("error", code, "r") and got["detail"]
        assert shared.published() == before
        assert ask(client, type="ping") == {"type": "pong"}


def test_a_message_that_is_too_large_is_an_error(start):
    server = start("--max-message", "1KiB")
    with session(server, "ann") as client:
        got = ask(client, type="send", ref="r", receiver="x", message="x" * 2000)
        assert (got["type"], got["code"], got["ref"]) == ("error", "message_too_large", "r")


def test_frames_that_are_no_requests_are_errors(shared, user):
    with session(shared, user) as client:
        for data, code in (("", "bad_json"), ("{", "bad_json"), ("[1]", "bad_frame"),
                           ("5", "bad_json"), ("{}", "bad_frame"), ('{"type":5}', "bad_frame"),
                           ('{"type":"fly"}', "bad_frame"), ('{"type":"ping"', "bad_json")):
            client.send(text(data))
            got = client.recv_json()
            assert (got["type"], got["code"]) == ("error", code), data
        client.send(frame(BINARY, b'{"type":"ping"}'))
        assert client.recv_json()["code"] == "bad_frame"
        assert ask(client, type="ping") == {"type": "pong"}


def test_a_retry_with_its_key_is_sent_once(shared, user):
    receiver = f"to-{user}"
    with session(shared, user) as client, session(shared, receiver) as other:
        first = ask(client, type="send", ref="1", key="k", receiver=receiver, message="hi")
        again = ask(client, type="send", ref="1", key="k", receiver=receiver, message="hi")
        assert again["id"] == first["id"] and again["duplicate"] is True
    with session(shared, user) as client:  # after the connection broke, with a ref of its own
        again = ask(client, type="send", ref="2", key="k", receiver=receiver, message="hi")
        assert again["id"] == first["id"] and again["ref"] == "2" and again["duplicate"] is True
        other_body = ask(client, type="send", ref="3", key="k", receiver=receiver, message="ho")
        assert other_body["code"] == "key_conflict" and other_body["ref"] == "3"
    with session(shared, f"not-{user}") as client:  # keys are each user's own
        own = ask(client, type="send", key="k", receiver=receiver, message="hi")
        assert own["type"] == "sent" and own["id"] != first["id"]
    kept = shared.http.get(f"/users/{receiver}/messages").json()["messages"]
    assert [m["id"] for m in kept] == [own["id"], first["id"]]


def test_ttl_of_a_frame_counts(shared, user):
    with session(shared, user) as client:
        ask(client, type="send", receiver=f"to-{user}", message=1, ttl=0)
    assert shared.http.get(f"/users/to-{user}/messages").json()["messages"] == []


def test_answers_come_in_the_order_of_frames(shared, user):
    count = scaled(500, least=100)
    with session(shared, user) as client, session(shared, f"to-{user}") as other:
        for n in range(count):
            client.send(text(json.dumps(
                {"type": "send", "ref": str(n), "receiver": f"to-{user}", "message": n})))
        assert [client.recv_json()["ref"] for _ in range(count)] == [str(n) for n in range(count)]
        assert [other.recv_json()["message"] for _ in range(count)] == list(range(count))


def test_who_leaves_behind_a_frame_disturbs_nobody(shared, user):
    before = shared.published()
    for n in range(30):
        client = session(shared, user)
        client.send(text(json.dumps({"type": "send", "receiver": f"to-{user}", "message": n})))
        client.abort() if n % 2 else client.socket.close()
    tell(shared, "fine", receiver=user)
    wait_until(lambda: not shared.http.get(f"/users/{user}").json()["online"])
    assert shared.published() <= before + 31


def test_a_text_session_sends_nothing(shared, user):
    before = shared.published()
    with Client(shared.port, f"/ws/{user}") as client:
        client.send(text(json.dumps({"type": "send", "receiver": "x", "message": 1})))
        assert client.alive()
    assert shared.published() == before


def test_a_user_whose_id_has_a_bracket_cannot_send(shared):
    with session(shared, "a%5Db") as client:
        got = ask(client, type="send", receiver="x", message=1, ref="r")
        assert (got["type"], got["ref"]) == ("error", "r")
