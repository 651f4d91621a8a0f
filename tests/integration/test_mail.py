"""GET and DELETE /users/<id>/messages: what is kept, page by page, both ways."""

import asyncio
import re

import pytest

from harness import DEADLINE, run

pytestmark = pytest.mark.workers


def page(server, user, **parameters):
    answer = server.http.get(f"/users/{user}/messages", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(told):
    return [m["message"] for m in told["messages"]]


@pytest.fixture
def ids(shared, user):
    """Ten messages, 0 to 9; their ids."""
    return [shared.send(user, i)["id"] for i in range(10)]


def test_an_empty_mailbox(shared, user):
    assert page(shared, user) == {"messages": [], "next": None, "more": False, "gap": None}
    assert page(shared, user, after=0)["messages"] == []


def test_a_message_tells_id_sender_message_and_time(shared, user):
    sent = shared.send(user, {"title": "hi"}, sender="carol")
    (message,) = page(shared, user)["messages"]
    assert {k: message[k] for k in ("id", "sender", "message")} == {
        "id": sent["id"], "sender": "carol", "message": {"title": "hi"}}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["sent_at"])


def test_without_a_cursor_the_newest_come_first(shared, user, ids):
    assert numbers(page(shared, user)) == list(range(9, -1, -1))


def test_after_0_is_everything_in_order(shared, user, ids):
    told = page(shared, user, after=0)
    assert numbers(told) == list(range(10))
    assert (told["next"], told["more"], told["gap"]) == (ids[-1], False, None)


def test_after_an_id_comes_what_is_newer(shared, user, ids):
    assert numbers(page(shared, user, after=ids[6])) == [7, 8, 9]
    assert numbers(page(shared, user, after=ids[9])) == []


def test_before_an_id_comes_what_is_older_newest_first(shared, user, ids):
    assert numbers(page(shared, user, before=ids[3])) == [2, 1, 0]
    assert numbers(page(shared, user, before=ids[0])) == []


def test_an_empty_before_begins_with_the_newest(shared, user, ids):
    answer = shared.http.get(f"/users/{user}/messages?before=&limit=3")
    assert answer.status_code == 200, answer.text
    assert numbers(answer.json()) == [9, 8, 7]


@pytest.mark.parametrize("limit", [1, 3, 9, 10, 11])
def test_paging_upwards_meets_every_message_once(shared, user, ids, limit):
    found, cursor = [], "0"
    while True:
        told = page(shared, user, after=cursor, limit=limit)
        found += numbers(told)
        assert len(told["messages"]) <= limit
        cursor = told["next"]
        if not told["more"]:
            break
    assert found == list(range(10))
    assert page(shared, user, after=cursor) == {"messages": [], "next": cursor, "more": False,
                                                "gap": None}


@pytest.mark.parametrize("limit", [1, 3, 9, 10, 11])
def test_paging_downwards_meets_every_message_once(shared, user, ids, limit):
    found, parameters = [], {}
    while True:
        told = page(shared, user, limit=limit, **parameters)
        found += numbers(told)
        if not told["more"]:
            break
        parameters = {"before": told["next"]}
    assert found == list(range(9, -1, -1))


def test_next_is_never_empty_going_upwards(shared, user):
    told = page(shared, user, after=0)
    assert isinstance(told["next"], str)


@pytest.mark.parametrize("parameters,field", [
    ("after=x", "after"), ("after=-1", "after"), ("after=1.5", "after"), ("after=", "after"),
    ("after=" + "9" * 20, "after"), ("after=99999999999999999999999", "after"),
    ("before=x", "before"), ("limit=0", "limit"), ("limit=1001", "limit"),
    ("after=1&before=2", "before"), ("after=0x10", "after"), ("after=%2B1", "after"),
])
def test_a_bad_parameter_is_named(shared, user, parameters, field):
    answer = shared.http.get(f"/users/{user}/messages?{parameters}")
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["field"]) == ("bad_parameter", field)


def test_a_message_to_many_is_in_each_mailbox(shared, user):
    sent = shared.send([user, f"{user}-b"], "both")
    for name in (user, f"{user}-b"):
        assert page(shared, name)["messages"][0]["id"] == sent["id"]


def test_erasing_takes_everything_and_is_no_gap(shared, user, ids):
    assert shared.http.delete(f"/users/{user}/messages").json() == {"user": user, "erased": 10}
    told = page(shared, user, after=ids[2])
    assert (told["messages"], told["gap"]) == ([], None)
    shared.send(user, "new")
    assert numbers(page(shared, user, after=ids[2])) == ["new"]


def test_erasing_one_user_s_mail_leaves_the_other_s(shared, user):
    shared.send([user, f"{user}-b"], "both")
    shared.http.delete(f"/users/{user}/messages")
    assert numbers(page(shared, user)) == []
    assert numbers(page(shared, f"{user}-b")) == ["both"]


def test_erased_mail_is_not_replayed(shared, user, ids):
    shared.http.delete(f"/users/{user}/messages")

    async def scenario():
        async with shared.ws(f"/ws/{user}?after=0") as socket:
            shared.send(user, "new")
            assert await socket.recv() == "[bob]: new"

    run(scenario())


def test_what_a_limit_removed_is_a_gap(start, user):
    server = start("--broker", "memory", "--keep-messages", "3")
    ids = [server.send(user, i)["id"] for i in range(10)]
    told = page(server, user, after=ids[1])
    assert numbers(told) == [7, 8, 9]
    assert told["gap"] == {"after": ids[1], "resumes": ids[6]}
    assert page(server, user, after=ids[6])["gap"] is None
    assert page(server, user, after=0)["gap"] is None
    assert numbers(page(server, user)) == [9, 8, 7]


def test_a_cursor_that_was_never_given_is_a_gap(server, user):
    sent = server.send(user)
    told = page(server, user, after="9" * 19)
    assert told["gap"] == {"after": "9" * 19, "resumes": sent["id"]}
    assert told["next"] == sent["id"]


def test_keep_bytes_limits_an_address(start, user):
    server = start("--broker", "memory", "--keep-bytes", "64KiB", "--max-message", "8KiB")
    for i in range(30):
        server.send(user, "x" * 8000)
    server.send(f"{user}-b")
    assert 4 <= len(page(server, user)["messages"]) <= 9
    assert len(page(server, f"{user}-b")["messages"]) == 1


def test_a_signal_larger_than_an_inbox_is_delivered(start):
    server = start("--max-message", "16MiB", "--max-body", "20MiB")

    async def scenario():
        async with server.ws("/ws/alice", form="json", max_size=None) as socket:
            await socket.recv()
            sent = await asyncio.to_thread(server.send, message="x" * (9 << 20), ttl=0)
            assert sent["delivered"] == 1
            assert len(await asyncio.wait_for(socket.recv(), DEADLINE)) > 9 << 20

    run(scenario())
