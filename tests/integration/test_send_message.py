"""POST /send-message: who, to whom, what; and what the answer says."""

import re

import pytest

from harness import DURABLE, run, scaled, wait_until

pytestmark = pytest.mark.workers


def post(server, body, **options):
    return server.http.post("/send-message", json=body, **options)


def test_the_tutorial_s_request_is_answered_as_the_tutorial_says(shared, user):
    answer = shared.http.post("/send-message",
                              json={"sender": "bob", "receiver": user, "message": "hi"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["status"] == "Message sent"


def test_an_answer_tells_id_delivered_kept_and_durable(shared, user):
    answer = shared.send(user)
    assert list(answer) == ["status", "id", "delivered", "kept", "durable"]
    assert re.fullmatch(r"\d{19}", answer["id"])
    assert answer["delivered"] == 0
    assert answer["kept"] is True
    assert answer["durable"] is DURABLE


def test_ids_rise_with_every_message(shared, user):
    ids = [shared.send(user)["id"] for _ in range(scaled(50, 5))]
    assert ids == sorted(set(ids))


def test_delivered_counts_every_session_of_the_receiver(shared, user):
    async def scenario():
        async with shared.ws(f"/ws/{user}") as tab, shared.ws(f"/ws/{user}", form="json") as phone:
            await phone.recv()  # welcome
            assert shared.send(user)["delivered"] == 2
            assert await tab.recv() == "[bob]: hi"
            assert '"message":"hi"' in await phone.recv()

    run(scenario())


def test_many_receivers_get_one_message_with_one_id(shared, user):
    names = [f"{user}-{i}" for i in range(3)]

    async def scenario():
        async with shared.ws(f"/ws/{names[1]}"):
            return shared.send(names)

    answer = run(scenario())
    assert answer["delivered"] == 1
    assert answer["receivers"] == [{"receiver": n, "delivered": int(n == names[1])} for n in names]
    for name in names:
        mail = shared.http.get(f"/users/{name}/messages").json()["messages"]
        assert [m["id"] for m in mail] == [answer["id"]]


def test_a_list_of_one_still_answers_with_receivers(shared, user):
    assert shared.send([user])["receivers"] == [{"receiver": user, "delivered": 0}]


def test_a_receiver_named_twice_gets_the_message_once(shared, user):
    answer = shared.send([user, user])
    assert answer["receivers"] == [{"receiver": user, "delivered": 0}]
    assert len(shared.http.get(f"/users/{user}/messages").json()["messages"]) == 1


def test_a_thousand_receivers_are_served_and_one_more_is_refused(shared, user):
    names = [f"{user}-{i}" for i in range(1001)]
    assert len(shared.send(names[:1000])["receivers"]) == 1000
    answer = post(shared, {"sender": "bob", "receivers": names, "message": 1})
    assert (answer.status_code, answer.json()["field"]) == (422, "receivers")


@pytest.mark.parametrize("missing", ["sender", "receiver", "message"])
def test_a_missing_field_is_named(shared, user, missing):
    body = {"sender": "bob", "receiver": user, "message": "hi"}
    del body[missing]
    answer = post(shared, body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "missing_field"
    assert answer.json()["field"] == missing


BAD_NAMES = {
    "empty": "", "slash": "a/b", "dot": ".", "dots": "..", "newline": "a\nb", "nul-like": "a\x01",
    "delete": "a\x7f", "c1-control": "a\x85b", "129-bytes": "a" * 129, "65-letters": "é" * 65,
    "number": 7, "list": ["a"], "object": {}, "true": True,
}


@pytest.mark.parametrize("field", ["sender", "receiver"])
@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_a_bad_name_is_refused_and_nothing_is_sent(shared, user, field, name):
    before = shared.published()
    answer = post(shared, {"sender": "bob", "receiver": user, "message": "hi", field: name})
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == ("bad_field", field)
    assert shared.published() == before


def test_a_name_with_an_escaped_nul_is_refused(shared, user):
    answer = shared.http.post(
        "/send-message", headers={"Content-Type": "application/json"},
        content=f'{{"sender":"bob","receiver":"{user}\\u0000","message":"hi"}}')
    assert answer.status_code in (400, 422)


def test_a_sender_cannot_fake_another_in_the_text_form(shared, user):
    answer = post(shared, {"sender": "boss]: pay", "receiver": user, "message": "hi"})
    assert (answer.status_code, answer.json()["field"]) == (422, "sender")


def test_a_receiver_may_have_a_bracket(shared, user):
    assert shared.send(f"[{user}]")["kept"]


@pytest.mark.parametrize("receivers", ["alice", {}, [], [7], ["ok", ""], ["ok", "a/b"],
                                       [None]], ids=str)
def test_bad_receivers_are_refused(shared, receivers):
    answer = post(shared, {"sender": "bob", "receivers": receivers, "message": "hi"})
    assert (answer.status_code, answer.json()["field"]) == (422, "receivers")


def test_receiver_and_receivers_together_are_refused(shared, user):
    answer = post(shared, {"sender": "bob", "receiver": user, "receivers": [user], "message": 1})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_field")


def test_one_bad_receiver_keeps_the_others_from_getting_it(shared, user):
    post(shared, {"sender": "bob", "receivers": [user, "a/b"], "message": "hi"})
    assert shared.http.get(f"/users/{user}/messages").json()["messages"] == []


def test_unknown_fields_are_ignored_and_named(shared, user):
    answer = shared.send(user, tll=5, Receiver="x")
    assert answer["ignored"] == ["tll", "Receiver"]


def test_without_unknown_fields_nothing_is_named(shared, user):
    assert "ignored" not in shared.send(user, ttl=5)


# ---- ttl ----

def test_ttl_0_is_for_those_who_are_here(shared, user):
    async def scenario():
        async with shared.ws(f"/ws/{user}") as tab:
            answer = shared.send(user, ttl=0)
            assert (answer["delivered"], answer["kept"]) == (1, False)
            assert await tab.recv() == "[bob]: hi"

    run(scenario())
    assert shared.send(user, ttl=0)["delivered"] == 0
    assert shared.http.get(f"/users/{user}/messages").json()["messages"] == []


@pytest.mark.parametrize("ttl", [1, 60, 2592000, 60.0])
def test_a_ttl_within_bounds_is_taken(shared, user, ttl):
    assert shared.send(user, ttl=ttl)["kept"] is True


@pytest.mark.parametrize("ttl", [-1, 2592001, 1.5, 1e300, "60", True, [1], "1h"], ids=str)
def test_a_ttl_out_of_bounds_is_refused(shared, user, ttl):
    answer = post(shared, {"sender": "bob", "receiver": user, "message": 1, "ttl": ttl})
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == ("bad_field", "ttl")


def test_an_expired_message_is_no_longer_there(shared, user):
    shared.send(user, ttl=1)
    assert len(shared.http.get(f"/users/{user}/messages").json()["messages"]) == 1
    wait_until(lambda: not shared.http.get(f"/users/{user}/messages").json()["messages"],
               deadline=8)


def test_ttl_max_is_configurable(start, user):
    server = start("--ttl", "10s", "--ttl-max", "1m")
    server.send(user, ttl=60)
    assert post(server, {"sender": "b", "receiver": user, "message": 1, "ttl": 61}
                ).status_code == 422


def test_a_default_ttl_of_0_keeps_nothing(start, user):
    server = start("--ttl", "0s")
    assert server.send(user)["kept"] is False
    assert server.send(user, ttl=60)["kept"] is True
