"""null is as if it were not there: many a program writes one for what it has not."""

import json

import pytest

from frames import Client, text
from guarded import bearer
from test_channels import ask, session

ABSENT = dict.fromkeys(("receiver", "receivers", "channel", "broadcast", "ttl", "key", "tag"))
MESSAGE = {"sender": "bob", "message": "hi"}


@pytest.mark.parametrize("where,value", [
    ("receiver", "null-ann"), ("receivers", ["null-ann", None]), ("channel", "null-news"),
    ("broadcast", True)])
def test_a_message_says_null_for_what_it_has_not(shared, where, value):
    body = {**ABSENT, **MESSAGE, where: value}
    answer = shared.http.post("/send-message", json=body)
    assert answer.status_code == 200 and "ignored" not in answer.json(), answer.text
    lines = shared.http.post("/send-messages", content=json.dumps(body), headers={
        "Content-Type": "application/x-ndjson"})
    assert '"status":"Message sent"' in lines.text


@pytest.mark.parametrize("path,body,field", [
    ("/send-message", {"receiver": "ann", "message": "hi", "sender": None}, "sender"),
    ("/send-message", {**MESSAGE, "receiver": None}, "receiver"),
    ("/send-message", {**MESSAGE, **ABSENT}, "receiver"),
    ("/users/query", {"users": None}, "users"),
    ("/tokens", {"user": None}, "user"),
    ("/users/ann/ack", {"device": None, "id": "1"}, "device"),
    ("/users/ann/ack", {"device": "phone", "id": None}, "id"),
])
def test_what_is_required_is_missing(shared, path, body, field):
    answer = shared.http.post(path, json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        422, "missing_field", field)


def test_a_list_of_nothing_but_null_is_empty(shared):
    answer = shared.http.post("/send-message", json={**MESSAGE, "receivers": [None]})
    assert (answer.status_code, answer.json()["field"]) == (422, "receivers")
    assert shared.http.post("/users/query", json={"users": [None]}).status_code == 422
    assert len(shared.http.post("/users/query", json={"users": [None, "a"]}).json()["users"]) == 1


def test_a_message_may_be_null(shared):
    with session(shared, "null-eve") as client:
        shared.http.post("/send-message", json={**MESSAGE, "receiver": "null-eve", "message": None})
        assert client.recv_json()["message"] is None


def test_a_token_is_asked_for_with_nulls(start, files):
    server = start(*files.args)
    made = server.http.post("/tokens", headers=files.as_key("minter"), json={
        "user": "ada", "channels": None, "publish": None, "ttl": None})
    assert made.status_code == 200
    poll = server.http.get("/poll/ada?wait=0", headers=bearer(made.json()["token"]))
    assert poll.status_code == 200
    news = server.http.get("/poll/ada?wait=0&channels=news", headers=bearer(made.json()["token"]))
    assert news.status_code == 403


def test_streams_and_polls_are_asked_for_with_null(shared):
    assert shared.http.post("/poll/null-ann?wait=0", json={"channels": None}).status_code == 200
    assert shared.http.post("/poll/null-ann?wait=0", json={"channels": [None]}).status_code == 200


def test_frames_say_null_for_what_they_have_not(shared):
    with session(shared, "null-max") as client:
        got = ask(client, type="send", receiver="null-max", channel=None, message="me", ref=None,
                  key=None, ttl=None)
        frames = [got, client.recv_json()]
        assert {frame["type"] for frame in frames} == {"sent", "message"}
        assert not any("ref" in frame for frame in frames)
        for kind, field in (("subscribe", "channel"), ("unsubscribe", "channel"), ("ack", "id"),
                            ("send", "receiver")):
            told = ask(client, **{"type": kind, field: None, "message": "hi"})
            assert (told["type"], told["code"]) == ("error", "missing_field") and \
                field in told["detail"]
        assert ask(client, type="auth", token=None)["type"] == "renewed"  # nobody needs one here
        assert ask(client, type=None)["code"] == "bad_frame"
    with Client(shared.port, "/ws/null-max?format=json&auth=frame") as client:
        client.send(text('{"type":"auth","token":null,"channels":null}'))
        assert client.recv_json()["type"] == "welcome"
