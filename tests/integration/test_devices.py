"""?device=: the server keeps the cursor of a device, moved by acknowledgements."""

import contextlib
import json
import sqlite3

import pytest

from frames import TEXT, Client, frame
from guarded import Files, bearer, token
from harness import DEADLINE, DURABLE, wait_until
from streams import Events, session

pytestmark = pytest.mark.workers

durable = pytest.mark.skipif(not DURABLE, reason="this broker keeps nothing over a restart")


def cursor_on_disk(server, device):
    with contextlib.closing(sqlite3.connect(server.folder / "pushwire-data/messages.db")) as db:
        row = db.execute("SELECT cursor FROM device WHERE name = ?", (device,)).fetchone()
        return row and row[0]


@pytest.fixture
def ids(shared, user):
    """Five messages, 0 to 4; their ids."""
    return [shared.send(user, n)["id"] for n in range(5)]


def say(client, fields):
    client.send(frame(TEXT, json.dumps(fields).encode()))


def by_websocket(server, user, query, count):
    with session(server, user, query) as client:
        return [client.recv_json()["message"] for _ in range(count)]


def by_sse(server, user, query, count):
    with Events(server, user, f"{query[1:]}") as events:
        return events.messages(count)


def by_poll(server, user, query, count):
    answer = server.http.get(f"/poll/{user}?wait=0{query}")
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["messages"]) == count
    return [m["message"] for m in answer.json()["messages"]]


over_each_transport = pytest.mark.parametrize("listen", [by_websocket, by_sse, by_poll])


def ack(server, user, device, id, **options):
    return server.http.post(f"/users/{user}/ack", json={"device": device, "id": id}, **options)


def acks_of(server, id):
    answer = server.http.get(f"/messages/{id}")
    assert answer.status_code == 200, answer.text
    return sorted((a["user"], a["device"]) for a in answer.json()["acks"])


# ---- resuming ----

@over_each_transport
def test_a_device_begins_with_all_that_is_kept_and_resumes_after_what_it_has(shared, user, ids,
                                                                             listen):
    assert listen(shared, user, "&device=phone", 5) == [0, 1, 2, 3, 4]
    assert listen(shared, user, "&device=phone", 5) == [0, 1, 2, 3, 4]  # nothing acknowledged
    answer = ack(shared, user, "phone", ids[2])
    assert answer.json() == {"user": user, "device": "phone", "id": ids[2]}
    assert listen(shared, user, "&device=phone", 2) == [3, 4]
    assert listen(shared, user, "&device=tablet", 5) == [0, 1, 2, 3, 4]
    assert listen(shared, user, f"&device=phone&after={ids[0]}", 4) == [1, 2, 3, 4]
    assert listen(shared, user, "&device=phone", 2) == [3, 4]  # `after` moved nothing


@pytest.mark.parametrize("after", [2**63 - 1, 10**19 - 1, 10**18 * 9])
@over_each_transport
def test_a_cursor_that_was_never_given_spoils_no_device(shared, user, ids, after, listen):
    listen(shared, user, f"&device=phone&after={after}", 0)
    assert wait_until(lambda: ack(shared, user, "phone", ids[4]).status_code == 200)
    shared.send(user, "one")
    two = shared.send(user, "two")["id"]
    assert listen(shared, user, "&device=phone", 2) == ["one", "two"]
    assert acks_of(shared, two) == []
    assert ack(shared, user, "phone", two).json()["id"] == two
    assert acks_of(shared, two) == [(user, "phone")]
    assert listen(shared, user, "&device=phone", 0) == []


def test_acknowledging_by_a_frame_moves_the_device(shared, user, ids):
    with session(shared, user, "&device=phone") as client:
        assert [client.recv_json()["message"] for _ in range(5)] == [0, 1, 2, 3, 4]
        say(client, {"type": "ack", "id": ids[3]})
        say(client, {"type": "ack", "id": ids[1]})  # it only rises
        say(client, {"type": "ping"})
        assert client.recv_json()["type"] == "pong"
    assert by_websocket(shared, user, "&device=phone", 1) == [4]
    assert acks_of(shared, ids[3]) == [(user, "phone")]
    assert acks_of(shared, ids[4]) == []


@pytest.mark.parametrize("query,id,code", [
    ("", "0", "bad_frame"),
    ("&device=phone", "9" * 19, "bad_field"),  # never given
    ("&device=phone", "x", "bad_field"),
    ("&device=phone", 7, "bad_field"),
    ("&device=phone", None, "missing_field"),
])
def test_an_acknowledgement_that_cannot_be_is_an_error_and_moves_nothing(shared, user, ids, query,
                                                                        id, code):
    with session(shared, user, f"{query}&after=0") as client:
        for _ in range(5):
            client.recv_json()
        say(client, {"type": "ack", "id": id, "ref": 1})
        told = client.recv_json()
        assert (told["type"], told["code"], told["ref"]) == ("error", code, 1)
        say(client, {"type": "ping"})
        assert client.recv_json()["type"] == "pong"  # the session lives on
    assert by_websocket(shared, user, "&device=phone", 5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("body,status,field", [
    ({"id": "1"}, 422, "device"), ({"device": "phone"}, 422, "id"),
    ({"device": "a/b", "id": "1"}, 422, "device"), ({"device": 1, "id": "1"}, 422, "device"),
    ({"device": "phone", "id": "x"}, 422, "id"), ({"device": "phone", "id": "9" * 19}, 422, "id"),
    ({"device": "other", "id": "1"}, 404, "device"),
])
def test_a_post_that_cannot_be_is_refused_and_moves_nothing(shared, user, ids, body, status, field):
    by_poll(shared, user, "&device=phone", 5)
    answer = shared.http.post(f"/users/{user}/ack", json=body)
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert by_poll(shared, user, "&device=phone", 5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["", "a%2Fb", "x" * 129, "%01"])
@pytest.mark.parametrize("path", ["sse", "poll"])
def test_a_bad_device_is_named(shared, user, path, name):
    answer = shared.http.get(f"/{path}/{user}?device={name}")
    assert (answer.status_code, answer.json()["field"]) == (400, "device")


def test_a_device_is_told_among_the_sessions(shared, user):
    with session(shared, user, "&device=phone"):
        (described,) = shared.http.get(f"/users/{user}").json()["sessions"]
        assert described["device"] == "phone"


# ---- forgetting ----

def test_a_forgotten_device_begins_anew(shared, user, ids):
    by_poll(shared, user, "&device=phone", 5)
    ack(shared, user, "phone", ids[3])
    answer = shared.http.delete(f"/users/{user}/devices/phone")
    assert answer.json() == {"user": user, "forgotten": "phone"}
    assert shared.http.delete(f"/users/{user}/devices/phone").status_code == 404
    assert ack(shared, user, "phone", ids[3]).status_code == 404
    assert acks_of(shared, ids[0]) == []
    assert by_poll(shared, user, "&device=phone", 5) == [0, 1, 2, 3, 4]


@durable
def test_of_too_many_devices_the_one_that_moved_longest_ago_goes(start, user):
    server = start("--devices-per-user", "2")
    ids = [server.send(user, n)["id"] for n in range(3)]
    for device in ("one", "two"):
        by_poll(server, user, f"&device={device}", 3)
    for device in ("two", "one"):  # each on disk before the next: there the time stands
        assert ack(server, user, device, ids[0]).status_code == 200
        wait_until(lambda: cursor_on_disk(server, device) == int(ids[0]))
    by_poll(server, user, "&device=three", 3)
    assert acks_of(server, ids[0]) == [(user, "one")]
    assert ack(server, user, "two", ids[1]).status_code == 404
    assert ack(server, user, "three", ids[1]).status_code == 200
    assert acks_of(server, ids[0]) == [(user, "one"), (user, "three")]


# ---- who has what ----

def test_a_message_tells_who_has_it(shared, user):
    both = [user, f"{user}-b"]
    id = shared.send(both, "both")["id"]
    for name in both:
        by_poll(shared, name, "&device=phone", 1)
    assert acks_of(shared, id) == []
    ack(shared, user, "phone", id)
    answer = shared.http.get(f"/messages/{id}").json()
    assert (answer["id"], answer["kept"], answer["durable"]) == (id, True, DURABLE)
    (one,) = answer["acks"]
    assert set(one) == {"user", "device", "at"} and one["at"].endswith("Z")
    ack(shared, f"{user}-b", "phone", id)
    assert acks_of(shared, id) == [(user, "phone"), (f"{user}-b", "phone")]


def test_a_message_that_is_not_kept_is_not_found(shared, user):
    passing = shared.send(user, "passing", ttl=0)["id"]
    for id in (passing, "1", "9" * 19):
        assert shared.http.get(f"/messages/{id}").status_code == 404
    gone = shared.send(user, "gone")["id"]
    shared.http.delete(f"/users/{user}/messages")
    assert shared.http.get(f"/messages/{gone}").status_code == 404


# ---- restarts ----

@durable
def test_a_device_goes_on_after_a_restart(start, user):
    server = start()
    ids = [server.send(user, n)["id"] for n in range(5)]
    by_poll(server, user, "&device=phone", 5)
    ack(server, user, "phone", ids[3])
    server.stop()
    server = start(folder=server.folder)
    assert by_poll(server, user, "&device=phone", 1) == [4]
    assert acks_of(server, ids[3]) == [(user, "phone")]


@durable
def test_kill_9_costs_a_device_doubles_and_never_losses(start, user):
    server = start()
    ids, acknowledged = [], 0
    for life in range(4):
        ids += [server.send(user, n)["id"] for n in range(len(ids), len(ids) + 10)]
        with session(server, user, "&device=phone") as client:
            first = client.recv_json()["message"]
            assert first <= acknowledged
            for n in range(first + 1, len(ids)):
                assert client.recv_json()["message"] == n
            acknowledged = len(ids) - 3
            say(client, {"type": "ack", "id": ids[acknowledged - 1]})
            say(client, {"type": "ping"})
            assert client.recv_json()["type"] == "pong"
        written = life == 2  # then it is not given again
        if written:
            wait_until(lambda: cursor_on_disk(server, "phone") == int(ids[acknowledged - 1]))
        server.kill()
        server = start(folder=server.folder)
        if written:
            assert by_poll(server, user, "&device=phone", 3) == list(range(27, 30))


# ---- with credentials ----

def test_a_receiver_acknowledges_as_itself_only(start, tmp_path):
    files = Files(tmp_path / "files")
    server = start(*files.args)
    answer = server.http.post("/send-message", headers=files.as_key("plain"),
                              json={"sender": "x", "receiver": "ada", "message": "hi"})
    id = answer.json()["id"]
    ada, eve = bearer(token("ada")), bearer(token("eve"))
    assert server.http.get("/poll/ada?wait=0&device=phone", headers=eve).status_code == 403
    assert ack(server, "ada", "phone", id, headers=ada).status_code == 404  # eve made none
    answer = server.http.get("/poll/ada?wait=0&device=phone", headers=ada)
    assert [m["id"] for m in answer.json()["messages"]] == [id]
    assert ack(server, "ada", "phone", id, headers=eve).status_code == 403
    assert ack(server, "ada", "phone", id, headers=files.as_key("plain")).status_code == 403
    assert ack(server, "ada", "phone", id).status_code == 401
    assert server.http.get(f"/messages/{id}", headers=ada).status_code == 403
    told = server.http.get(f"/messages/{id}", headers=files.as_key("reader")).json()
    assert told["acks"] == []
    assert ack(server, "ada", "phone", id, headers=ada).status_code == 200
    told = server.http.get(f"/messages/{id}", headers=files.as_key("reader")).json()
    assert [a["device"] for a in told["acks"]] == ["phone"]
    path = "/users/ada/devices/phone"
    for headers in (ada, files.as_key("reader")):
        assert server.http.delete(path, headers=headers).status_code == 403
    assert server.http.delete(path, headers=files.as_key("manager")).status_code == 200


def test_a_token_that_comes_as_a_frame_finds_the_device(start, tmp_path):
    files = Files(tmp_path / "files")
    server = start(*files.args)
    server.http.post("/send-message", headers=files.as_key("plain"),
                     json={"sender": "x", "receiver": "ada", "message": "hi"})
    with Client(server.port, "/ws/ada?format=json&device=phone", timeout=DEADLINE) as client:
        say(client, {"type": "auth", "token": token("ada")})
        assert client.recv_json()["type"] == "welcome"
        assert client.recv_json()["message"] == "hi"
