"""Asking about users: one, a list of them, and all who are online."""

import asyncio
import json
import re
import urllib.parse

import pytest

from harness import DEADLINE, run, wait_until

pytestmark = pytest.mark.workers

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def describe(server, user):
    answer = server.http.get("/users/" + urllib.parse.quote(user, safe=""))
    assert answer.status_code == 200, answer.text
    return answer.json()


def is_gone(server, user):
    return wait_until(lambda: not describe(server, user)["online"])


def query(server, body, **options):
    return server.http.post("/users/query", json=body, **options)


def test_an_unknown_user_is_offline(shared, user):
    assert describe(shared, user) == {"user": user, "online": False, "sessions": [],
                                      "last_seen": None}


def test_an_online_user_is_described_with_its_sessions(shared, user):
    async def scenario():
        async with shared.ws(f"/ws/{user}", form="json") as one, shared.ws(f"/ws/{user}"):
            welcome = json.loads(await one.recv())
            told = describe(shared, user)
            assert told["online"] is True
            assert len(told["sessions"]) == 2
            assert welcome["session"] in [s["id"] for s in told["sessions"]]
            assert len({s["id"] for s in told["sessions"]}) == 2
            for session in told["sessions"]:
                assert session["transport"] == "websocket"
                assert session["behind"] is False
                assert re.fullmatch(TIME, session["since"])
            assert re.fullmatch(TIME, told["last_seen"])

    run(scenario())


def test_a_user_who_left_was_last_seen(shared, user):
    async def scenario():
        async with shared.ws(f"/ws/{user}"):
            assert describe(shared, user)["online"]

    run(scenario())
    is_gone(shared, user)
    assert re.fullmatch(TIME, describe(shared, user)["last_seen"])


def test_a_query_answers_in_the_order_asked(shared, user):
    names = [f"{user}-{c}" for c in "cab"]

    async def scenario():
        async with shared.ws(f"/ws/{names[1]}"):
            return query(shared, {"users": names}).json()

    answer = run(scenario())
    assert [u["user"] for u in answer["users"]] == names
    assert [u["online"] for u in answer["users"]] == [False, True, False]


def test_a_thousand_can_be_asked_at_once_and_one_more_not(shared):
    names = [f"u{i}" for i in range(1001)]
    assert len(query(shared, {"users": names[:1000]}).json()["users"]) == 1000
    assert query(shared, {"users": names}).status_code == 422


@pytest.mark.parametrize("body,code", [
    ({}, "missing_field"), ({"users": []}, "bad_field"), ({"users": "alice"}, "bad_field"),
    ({"users": [7]}, "bad_field"), ({"users": ["a/b"]}, "bad_field"),
    ({"users": [""]}, "bad_field"), ({"users": None}, "missing_field"),
], ids=str)
def test_a_bad_query_is_refused(shared, body, code):
    answer = query(shared, body)
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == (code, "users")


# ---- who is online ----

NAMES = ["Zoë", "alice", "bob", "b", "漢字", "a b", "user@example.com", "10", "9"]


async def open_all(server, names):
    sockets = [server.ws("/ws/" + urllib.parse.quote(name)) for name in names]
    return await asyncio.gather(*[socket.__aenter__() for socket in sockets])


async def close_all(sockets):
    await asyncio.gather(*[socket.close() for socket in sockets])


def list_online(server, **parameters):
    answer = server.http.get("/users", params={"online": "true", **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_nobody_is_online_at_first(server):
    assert list_online(server) == {"users": [], "next": None}


@pytest.mark.parametrize("limit", [1, 2, 4, 9, 100])
def test_all_who_are_online_are_listed_once_page_by_page(server, limit):
    async def scenario():
        sockets = await open_all(server, NAMES + NAMES[:2])
        found, parameters = [], {}
        while True:
            page = list_online(server, limit=limit, **parameters)
            assert len(page["users"]) <= limit
            found += page["users"]
            if page["next"] is None:
                break
            assert len(page["users"]) == limit
            parameters = {"from": page["next"]}
        assert found == sorted(NAMES, key=lambda name: name.encode())
        await close_all(sockets)

    run(scenario())


def test_who_left_is_no_longer_listed(server):
    async def scenario():
        await close_all(await open_all(server, ["alice", "bob"]))

    run(scenario())
    wait_until(lambda: list_online(server)["users"] == [])


@pytest.mark.parametrize("parameters", [
    "limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1e2", "limit=%31%30%30%31",
    "online=false", "online=",
])
def test_a_bad_parameter_is_named(shared, parameters):
    answer = shared.http.get(f"/users?{parameters}")
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_parameter"
    assert answer.json()["field"] == parameters.partition("=")[0]


def test_a_broken_escape_in_a_parameter_is_refused(shared):
    assert shared.http.get("/users?limit=%zz").status_code == 400
    assert shared.http.get("/users?limit=%1").status_code == 400


# ---- closing sessions ----

def test_closing_a_user_s_sessions_says_bye_and_4403(shared, user):
    async def scenario():
        async with shared.ws(f"/ws/{user}", form="json") as one, shared.ws(f"/ws/{user}") as two, \
                shared.ws(f"/ws/{user}x") as other:
            await one.recv()
            answer = shared.http.delete(f"/users/{user}/sessions")
            assert answer.json() == {"user": user, "closed": 2}
            assert json.loads(await one.recv())["type"] == "bye"
            await asyncio.wait_for(one.wait_closed(), DEADLINE)
            await asyncio.wait_for(two.wait_closed(), DEADLINE)
            assert (one.close_code, two.close_code) == (4403, 4403)
            shared.send(f"{user}x")
            assert await other.recv() == "[bob]: hi"

    run(scenario())
    is_gone(shared, user)


def test_closing_nobody_s_sessions_is_fine(shared, user):
    assert shared.http.delete(f"/users/{user}/sessions").json() == {"user": user, "closed": 0}
