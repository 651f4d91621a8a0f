"""Channels that a plain address cannot say: names with a comma, and more than it has room for."""

import json
from urllib.parse import quote

import pytest

from frames import Client, text
from guarded import token
from streams import Events, poll, session, tell

pytestmark = pytest.mark.workers

PLACE = "geo:37.5,127.0"


def hundred(user):
    """As many as a session may have, with the longest of names: 42 letters of three bytes."""
    return [f"{n:02}{user}"[:20] + "가" * ((128 - len(f"{n:02}{user}"[:20])) // 3) for n in range(100)]


def speak(server, names):
    """A message to the first, the middle and the last; the ids."""
    return [tell(server, n, channel=names[n])["id"] for n in (0, len(names) // 2, len(names) - 1)]


def messages_of(client, count):
    return [client.recv_json()["id"] for _ in range(count)]


def begin(client, **fields):
    client.send(text(json.dumps({"type": "auth", **fields})))


def stream(server, path, body):
    """Messages of an event stream that a POST opened, without end."""
    with server.http.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"] == "text/event-stream"
        for line in answer.iter_lines():
            if line.startswith("data: ") and '"type":"message"' in line:
                yield json.loads(line[6:])


# ---- a comma ----

def test_a_name_with_a_comma_has_a_parameter_to_itself(shared, user):
    names = [f"{PLACE}{user}", f"a,b{user}", f"plain{user}"]
    query = f"after=0&channels=&channel={quote(names[0])}&channel={quote(names[1])}&channels=x" \
            f"&channel={names[2]}&channel={names[2]}"
    ids = speak(shared, names)
    with session(shared, user, "&" + query) as ws, Events(shared, user, query) as sse:
        assert messages_of(ws, 3) == ids
        assert sse.messages(3) == [0, 1, 2]
    page = shared.http.get(f"/poll/{user}?wait=0&{query}").json()
    assert [m["id"] for m in page["messages"]] == ids
    assert [m["channel"] for m in page["messages"]] == names


@pytest.mark.parametrize("bad", ["", "a%2Fb", "..", "%00", "%C3%28", "x" * 129])
def test_each_of_them_must_be_a_name(shared, user, bad):
    for path in "ws", "sse", "poll":
        answer = shared.http.get(f"/{path}/{user}?channels=a&channel={bad}", headers={
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} if path == "ws" else {})
        assert answer.status_code == 400, answer.text
        assert answer.json()["code"] in ("bad_parameter", "bad_request")


# ---- many ----

def test_a_hundred_long_names_come_with_a_post(shared, user):
    names = hundred(user)
    ids = speak(shared, names)
    body = {"channels": names}
    page = shared.http.post(f"/poll/{user}?wait=0&after=0", json=body)
    assert [m["id"] for m in page.json()["messages"]] == ids
    got = stream(shared, f"/sse/{user}?after=0", body)
    assert [next(got)["id"] for _ in ids] == ids
    late = tell(shared, "now", channel=names[7])["id"]
    assert next(got)["id"] == late
    got.close()


def test_a_poll_by_post_waits_like_another(shared, user):
    names = hundred(user)
    since = poll(shared, user, wait=0)["next"]
    answer = shared.http.post(f"/poll/{user}?wait=1&after={since}", json={"channels": names})
    assert answer.json()["messages"] == [] and answer.json()["next"] == since


def test_a_hundred_long_names_come_with_a_frame(shared, user):
    names = hundred(user)
    ids = speak(shared, names)
    with Client(shared.port, f"/ws/{user}?format=json&auth=frame&after=0") as client:
        begin(client, channels=names)
        assert client.recv_json()["type"] == "welcome"
        assert messages_of(client, 3) == ids
    with Client(shared.port, f"/ws/{user}?format=json&auth=frame&after={ids[0]}") as client:
        begin(client)
        assert client.recv_json()["cursor"] == ids[0]


def test_what_is_no_list_of_names_is_refused(shared, user):
    for bad in "a", 1, {}, ["a", 1], ["a/b"], [""]:
        for path in "sse", "poll":
            answer = shared.http.post(f"/{path}/{user}", json={"channels": bad})
            assert (answer.status_code, answer.json()["field"]) == (422, "channels")
    for count in 101, 1001:
        answer = shared.http.post(f"/poll/{user}?wait=1", json={"channels": list(map(str, range(count)))})
        assert (answer.status_code, answer.json()["code"]) == (422, "too_many_channels")
    for path in "sse", "poll":
        assert shared.http.post(f"/{path}/{user}", content=b"no").status_code in (400, 415)
    assert shared.http.post(f"/poll/{user}?wait=0", json={}).status_code == 200
    for nothing in None, [None]:
        answer = shared.http.post(f"/poll/{user}?wait=0", json={"channels": nothing})
        assert answer.status_code == 200


def test_a_frame_that_is_none_may_be_mended(shared, user):
    with Client(shared.port, f"/ws/{user}?format=json&auth=frame") as client:
        begin(client, channels=["a/b"], ref=7)
        error = client.recv_json()
        assert (error["type"], error["code"], error["ref"]) == ("error", "bad_field", 7)
        begin(client, channels=[f"good{user}"])
        assert client.recv_json()["type"] == "welcome"
        sent = tell(shared, 1, channel=f"good{user}")["id"]
        assert client.recv_json()["id"] == sent
    with Client(shared.port, f"/ws/{user}?format=json&auth=frame") as client:
        begin(client, channels=list(map(str, range(101))))
        assert client.recv_json() == {"type": "bye", "code": "too_many_channels",
                                      "retry_ms": pytest.approx(0, abs=1e9)}
        client.expect_close(4400)


def test_a_session_that_never_says_it_ends(start, user):
    server = start("--auth-timeout", "1s")
    with Client(server.port, f"/ws/{user}?format=json&auth=frame") as client:
        assert client.recv_json()["code"] == "unauthorized"
        client.expect_close(4401)


# ---- and who may hear them ----

def test_they_are_checked_like_those_in_the_address(guarded):
    made = token("ada", channels=["a", PLACE])
    with Client(guarded.port, "/ws/ada?format=json&auth=frame") as client:
        begin(client, token=made, channels=["a", PLACE])
        assert client.recv_json()["type"] == "welcome"
    with Client(guarded.port, "/ws/ada?format=json") as client:
        begin(client, token=made, channels=["a", "b"])
        assert client.recv_json()["code"] == "forbidden"
        client.expect_close(4403)
    with Client(guarded.port, "/ws/ada?format=json&auth=frame") as client:
        begin(client, channels=["a"])
        assert client.recv_json()["code"] == "unauthorized"
        client.expect_close(4401)
    headers = {"Authorization": f"Bearer {made}"}
    for channels, status in ([PLACE], 200), (["b"], 403):
        answer = guarded.http.post("/poll/ada?wait=0", json={"channels": channels}, headers=headers)
        assert answer.status_code == status
    assert guarded.http.post("/poll/ada?wait=0", json={"channels": []}).status_code == 401
    for headers, code in (headers, "forbidden"), ({}, "unauthorized"):
        answer = guarded.http.post("/sse/ada", json={"channels": ["b"]}, headers=headers)
        assert answer.status_code == 200 and code in answer.text  # as an event, like a GET
