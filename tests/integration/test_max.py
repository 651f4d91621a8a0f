"""?max=: a reader that cannot take a large message is told of it, and goes on."""

import json
import threading
from urllib.parse import quote

import pytest
import websockets

from frames import Client
from harness import run, wait_until
from streams import Events

BODY = "x" * 40_000
LIMIT = 32_768  # what Go's nhooyr.io/websocket and coder/websocket take


def told(server, user, **to):
    """Sends a large message between two small ones; their ids."""
    to = to or {"receiver": user}
    return [server.http.post("/send-message", json={"sender": "bob", "message": message, **to})
            .json()["id"] for message in ("before", BODY, "after")]


def check(outline, ids):
    assert outline["type"] == "too_large" and outline["id"] == ids[1]
    assert "message" not in outline and outline["sender"] == "bob"
    assert (outline["size"], outline["kept"]) == (len(BODY) + 2, True)
    assert outline["after"] == str(int(ids[1]) - 1)


def test_a_reader_with_a_limit_goes_on(shared, user):
    """By a library that closes with 1009 at what is larger, live and from its cursor."""
    async def scenario():
        url = shared.ws_url(f"/ws/{user}?format=json")
        async with websockets.connect(url, max_size=LIMIT) as socket:
            await socket.recv()
            told(shared, user)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                while True:
                    await socket.recv()
            assert closed.value.sent.code == 1009
        async with websockets.connect(f"{url}&max={LIMIT}", max_size=LIMIT) as socket:
            await socket.recv()
            ids = told(shared, user)
            got = [json.loads(await socket.recv()) for _ in range(3)]
            assert [frame["id"] for frame in got] == ids
            assert [got[0]["message"], got[2]["message"]] == ["before", "after"]
            check(got[1], ids)
        async with websockets.connect(f"{url}&max={LIMIT}&after={ids[0]}",
                                      max_size=LIMIT) as socket:
            await socket.recv()
            check(json.loads(await socket.recv()), ids)
            assert json.loads(await socket.recv())["id"] == ids[2]

    run(scenario())


def test_what_was_too_large_can_be_fetched(shared, user):
    ids = told(shared, user)
    poll = shared.http.get(f"/poll/{user}?after={ids[0]}&wait=0&max={LIMIT}").json()
    check(poll["messages"][0], ids)
    assert [message["id"] for message in poll["messages"]] == ids[1:] and poll["next"] == ids[2]
    after = poll["messages"][0]["after"]
    one = shared.http.get(f"/users/{user}/messages?after={after}&limit=1").json()["messages"]
    assert [(message["id"], message["message"]) for message in one] == [(ids[1], BODY)]
    first = shared.http.get(f"/poll/{user}?after={after}&wait=0").json()["messages"][0]
    assert (first["id"], first["message"]) == (ids[1], BODY)


def test_of_a_channel_it_is_said(shared, user):
    with Client(shared.port, f"/ws/{user}?format=json&channels={user}&max=1024") as client:
        client.recv_json()
        ids = told(shared, user, channel=user)
        got = [client.recv_json() for _ in range(3)]
        assert [frame["channel"] for frame in got] == [user] * 3
        check(got[1], ids)
        path = f"/channels/{user}/messages?after={got[1]['after']}&limit=1"
        assert shared.http.get(path).json()["messages"][0]["message"] == BODY


def test_an_event_stream_tells_it_and_moves_its_id(shared, user):
    with Events(shared, user, f"max={LIMIT}") as stream:
        ids = told(shared, user)
        got = [stream.next() for _ in range(3)]
        assert [event.event for event in got] == ["message", "too_large", "message"]
        assert [event.id for event in got] == ids
        check(got[1].json, ids)


def test_a_poll_that_waits_is_told(shared, user):
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(
        shared.http.get(f"/poll/{user}?wait=20&max=2000").json()))
    waiting.start()
    wait_until(lambda: shared.http.get(f"/users/{user}").json()["online"], what="the poll")
    sent = shared.http.post("/send-message", json={
        "sender": "bob", "receiver": user, "message": BODY}).json()["id"]
    waiting.join()
    check(answers[0]["messages"][0], [None, sent, None])
    assert answers[0]["next"] == sent


def test_text_has_a_line_for_it(shared, user):
    with Client(shared.port, f"/ws/{user}?format=text&max=1024") as client:
        ids = told(shared, user)
        assert [client.recv().text for _ in range(3)] == [
            "[bob]: before", f"[bob]: (too large: 40002 bytes, id {ids[1]})", "[bob]: after"]


def test_one_that_is_not_kept_says_so(shared, user):
    with Client(shared.port, f"/ws/{user}?format=json&max=1024") as client:
        client.recv_json()
        shared.http.post("/send-message", json={"sender": "b", "receiver": user, "message": BODY,
                                                "ttl": 0})
        assert client.recv_json()["kept"] is False


def test_the_outline_of_the_longest_names_fits(shared):
    name, sender = '"' * 128, "\\" * 128
    with Client(shared.port, f"/ws/max-ann?format=json&max=1024&channel={quote(name)}") as client:
        client.recv_json()
        shared.http.post("/send-message", json={"sender": sender, "channel": name,
                                                "message": BODY})
        frame = client.recv()
        assert frame.json["type"] == "too_large" and len(frame.payload) <= 1024 - 4


@pytest.mark.parametrize("path", ["/ws/ann", "/sse/ann", "/poll/ann"])
@pytest.mark.parametrize("bad", ["", "0", "1023", "1073741825", "32k", "-1", "1e5"])
def test_a_bad_max_is_refused(shared, path, bad):
    headers = {}
    if path.startswith("/ws"):
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    answer = shared.http.get(f"{path}?max={bad}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")
    assert "1024" in answer.json()["detail"]
