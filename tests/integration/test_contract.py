"""docs/api: what it describes is there, and what it does not describe is noticed."""

import json

import pytest

from contract import CONTRACT, Contract
from frames import Client, text
from streams import Events, session, tell

RECEIPT = {"status": "Message sent", "id": "1893456789012345678", "delivered": 2, "kept": True,
           "durable": True}
JSON = {"x-request-id": "x", "content-type": "application/json"}


# ---- it is there ----

def openings(server, user):
    """One exchange of each operation: (operationId, a function that makes it)."""
    http = server.http
    sent = tell(server, "kept", receiver=user)
    return {
        "sendMessage": lambda: tell(server, "hi", receiver=user, key="k", ttl=60),
        "sendMessages": lambda: http.post(
            "/send-messages", headers={"Content-Type": "application/x-ndjson"},
            content=json.dumps({"sender": "bob", "receiver": user, "message": None}) + "\n{}\n"),
        "makeToken": lambda: http.post("/tokens", json={"user": user, "publish": ["news"]}),
        "poll": lambda: http.get(f"/poll/{user}?after=0&wait=0&channels=a,b&channel=c%2Cd&max=1024"),
        "pollChannels": lambda: http.post(f"/poll/{user}?wait=0", json={"channels": ["a"]}),
        "stream": lambda: Events(server, user, "after=0&device=phone").close(),
        "streamChannels": lambda: Events(server, user, method="POST", status=415).close(),
        "acknowledge": lambda: http.post(f"/users/{user}/ack",
                                         json={"device": "phone", "id": sent["id"]}),
        "listUsers": lambda: http.get("/users?online=true&limit=5"),
        "queryUsers": lambda: http.post("/users/query", json={"users": [user, "nobody"]}),
        "describeUser": lambda: http.get(f"/users/{user}"),
        "listUserMessages": lambda: http.get(f"/users/{user}/messages?before=&limit=10"),
        "forgetDevice": lambda: http.delete(f"/users/{user}/devices/phone"),
        "closeSessions": lambda: http.delete(f"/users/{user}/sessions"),
        "revokeTokens": lambda: http.post(f"/users/{user}/revoke"),
        "describeChannel": lambda: http.get("/channels/news"),
        "listChannelMessages": lambda: http.get("/channels/news/messages?after=0"),
        "describeMessage": lambda: http.get(f"/messages/{sent['id']}"),
        "eraseUserMessages": lambda: http.delete(f"/users/{user}/messages"),
        "isAlive": lambda: http.get("/healthz"),
        "isReady": lambda: http.get("/readyz"),
        "readMetrics": lambda: http.get("/metrics"),
        "readPage": lambda: http.get("/"),
        "readClient": lambda: http.get("/client.js"),
        "readDocs": lambda: http.get("/docs"),
        "readDoc": lambda: http.get("/docs/errors"),
        "readLlmsTxt": lambda: http.get("/llms.txt"),
        "readOpenapi": lambda: http.get("/openapi.yaml"),
        "readOpenapiAsJson": lambda: http.get("/openapi.json"),
        "readAsyncapi": lambda: http.get("/asyncapi.yaml"),
        "readAsyncapiAsJson": lambda: http.get("/asyncapi.json"),
        "openSession": lambda: session(server, user).socket.close(),
        "enterLobby": lambda: Client(server.port, "/ws").socket.close(),
        "enterRoom": lambda: Client(server.port, "/rooms/tea?name=bob").socket.close(),
        "echo": lambda: Client(server.port, "/ws-echo").socket.close(),
    }


def test_every_operation_is_served_and_answers_as_it_says(start, user):
    server = start("--dev-echo")
    made = openings(server, user)
    described = {operation["operationId"] for item in CONTRACT.openapi["paths"].values()
                 for operation in item.values() if isinstance(operation, dict)}
    assert set(made) == described
    for name, make in made.items():
        make()
        assert any(seen[0] == name for seen in CONTRACT.seen), name


def test_every_frame_of_a_client_is_served_as_it_says(server, user):
    with session(server, user, "&device=phone") as client:
        def ask(kind, **fields):
            client.send(text(json.dumps({"type": kind, **fields})))
            while (frame := client.recv_json())["type"] == "message":
                ask.last = frame["id"]
            return frame
        assert ask("ping")["type"] == "pong"
        assert ask("subscribe", channel="news")["type"] == "subscribed"
        assert ask("send", channel="news", message={"a": None}, ref=7, key="k")["ref"] == 7
        assert ask("send", channel="news", message={"a": None}, key="k")["duplicate"]
        assert ask("unsubscribe", channel="news")["type"] == "unsubscribed"
        assert ask("auth")["type"] == "renewed"
        assert ask("nonsense")["code"] == "bad_frame"
    for message in ("welcome", "pong", "subscribed", "sent", "unsubscribed", "renewed", "error",
                    "ping", "subscribe", "send", "unsubscribe", "auth"):
        assert ("session", message) in CONTRACT.seen, message


# ---- it is noticed ----

@pytest.fixture
def other():
    """One whose findings are not this run's."""
    return Contract()


def send(contract, status=200, headers=JSON, answer=RECEIPT, **asked):
    body = {"sender": "bob", "receiver": "alice", "message": "hi", **asked}
    contract.exchange("POST", "/send-message", {}, json.dumps(body), status, headers,
                      json.dumps(answer).encode())
    return contract.take_violations()


def test_what_is_as_described_is_no_finding(other):
    assert send(other) == []
    assert send(other, key=None, extra=1) == []


def test_an_undescribed_exchange_is_noticed(other):
    for found, word in [
        (send(other, status=418), "418"),
        (send(other, headers={**JSON, "x-new": "1"}), "x-new"),
        (send(other, headers={"content-type": "application/json"}), "x-request-id"),
        (send(other, headers={**JSON, "content-type": "text/plain"}), "text/plain"),
        (send(other, answer={**RECEIPT, "extra": 1}), "extra"),
        (send(other, answer={**RECEIPT, "id": "7"}), "'7'"),
        (send(other, ttl="soon"), "soon"),
        (send(other, channel="news"), "valid under each of"),
    ]:
        assert len(found) == 1 and word in found[0], (found, word)


def test_an_undescribed_path_is_noticed(other):
    other.exchange("GET", "/new", {}, b"", 200, JSON, b"{}")
    assert "not in openapi.yaml" in other.take_violations()[0]
    other.exchange("PUT", "/users", {}, b"", 405, {"allow": "PUT"}, b"")
    assert "Allow" in other.take_violations()[0]


def test_an_undescribed_frame_is_noticed(other):
    other.said("session", "hello", {"type": "hello"})
    other.said("session", "pong", {"type": "pong", "extra": 1})
    other.said("events", "pong", {"type": "pong"})
    other.said("textSession", "line", "hi")
    other.said("events", "gap", {"type": "gap", "after": "0" * 19, "resumes": "0" * 19},
               {"event": "gap", "id": "7"})
    assert len(other.take_violations()) == 5
    other.taken("send", {"type": "send", "message": 1, "receiver": "a", "channel": "b"})
    assert len(other.take_violations()) == 1
