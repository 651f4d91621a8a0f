"""A retry with the same key is the same message."""

import asyncio
import json
import threading

import pytest

from frames import text
from harness import DEADLINE, DURABLE, http_client, run, scaled
from streams import session

pytestmark = pytest.mark.workers


def post(server, user, message="hi", headers=None, **fields):
    return server.http.post("/send-message", headers=headers,
                            json={"sender": "bob", "receiver": user, "message": message, **fields})


def mail(server, user):
    return server.http.get(f"/users/{user}/messages").json()["messages"]


def test_a_retry_gets_the_same_id_and_is_not_sent_again(shared, user):
    async def scenario():
        async with shared.ws(f"/ws/{user}") as tab:
            first = post(shared, user, key=user).json()
            again = post(shared, user, key=user).json()
            post(shared, user, "end")
            assert [await tab.recv(), await tab.recv()] == ["[bob]: hi", "[bob]: end"]
            return first, again

    first, again = run(scenario())
    assert first["delivered"] == 1 and "duplicate" not in first
    assert again == {"status": "Message sent", "id": first["id"], "duplicate": True, "kept": True,
                     "durable": DURABLE}
    assert len(mail(shared, user)) == 2


def test_another_body_with_the_same_key_is_a_conflict(shared, user):
    post(shared, user, key=user)
    answer = post(shared, user, "other", key=user)
    assert answer.status_code == 409
    assert (answer.json()["code"], answer.json()["field"]) == ("key_conflict", "key")
    assert len(mail(shared, user)) == 1


def test_a_retry_may_come_another_way(shared, user):
    with session(shared, user) as client:
        client.send(text(json.dumps({"type": "send", "ref": 1, "key": user, "receiver": user,
                                     "message": {"n": 1}})))
        frames = [client.recv_json(), client.recv_json()]
        (sent,) = (one for one in frames if one["type"] == "sent")
        again = post(shared, user, {"n": 1}, sender=user, key=user).json()
        assert (again.get("duplicate"), again["id"]) == (True, sent["id"])
        line = {"message": {"n": 1}, "key": user, "receiver": user, "sender": user}
        answer = shared.http.post("/send-messages", content=json.dumps(line) + "\n",
                                  headers={"Content-Type": "application/x-ndjson"}).json()
        assert (answer.get("duplicate"), answer["id"]) == (True, sent["id"])
        assert post(shared, user, {"n": 2}, sender=user, key=user).status_code == 409
    assert len(mail(shared, user)) == 1


def test_the_key_may_come_as_a_header(shared, user):
    header = {"Idempotency-Key": user}
    first = post(shared, user, headers=header).json()
    assert post(shared, user, headers=header).json()["duplicate"] is True
    assert post(shared, user, headers={"Idempotency-Key": f'"{user}"'}).json()["id"] == first["id"]
    assert post(shared, user, "other", headers=header).status_code == 409


def test_field_and_header_must_agree(shared, user):
    answer = post(shared, user, headers={"Idempotency-Key": "a"}, key="b")
    assert (answer.status_code, answer.json()["field"]) == (422, "key")
    assert post(shared, user, headers={"Idempotency-Key": user}, key=user).status_code == 200


@pytest.mark.parametrize("key", ["", "k" * 129, 7, ["k"]], ids=str)
def test_a_bad_key_is_refused(shared, user, key):
    answer = post(shared, user, key=key)
    assert (answer.status_code, answer.json()["field"]) == (422, "key")


@pytest.mark.parametrize("key", ["k" * 128, "é" * 64, "with space/slash"])
def test_any_text_of_up_to_128_bytes_is_a_key(shared, user, key):
    assert post(shared, user, key=key, sender=user).status_code == 200
    assert post(shared, user, key=key, sender=user).json()["duplicate"] is True


def test_keys_of_two_publishers_do_not_meet(shared, user):
    first = post(shared, user, key=user, sender="bob").json()
    other = post(shared, user, key=user, sender="carol").json()
    assert other["id"] != first["id"] and "duplicate" not in other


def test_a_refused_request_is_not_remembered(shared, user):
    assert post(shared, user, key=user, ttl=-1).status_code == 422
    assert "duplicate" not in post(shared, user, key=user).json()


def test_a_retry_of_a_message_that_was_not_kept_says_so(shared, user):
    post(shared, user, key=user, ttl=0)
    again = post(shared, user, key=user, ttl=0).json()
    assert (again["duplicate"], again["kept"]) == (True, False)


def test_a_retry_to_many_has_no_delivery_counts(shared, user):
    body = {"sender": "bob", "receivers": [user], "message": 1, "key": user}
    shared.http.post("/send-message", json=body)
    again = shared.http.post("/send-message", json=body).json()
    assert "delivered" not in again and "receivers" not in again


def test_of_many_at_once_one_is_sent(shared, user):
    count = scaled(16, 4)
    answers = []
    barrier = threading.Barrier(count)

    def send():
        with http_client(shared.url) as client:
            barrier.wait(DEADLINE)
            answers.append(client.post("/send-message", json={
                "sender": "bob", "receiver": user, "message": "hi", "key": user}).json())

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert len({a["id"] for a in answers}) == 1 and len(answers) == count
    assert sum("duplicate" not in a for a in answers) == 1
    assert len(mail(shared, user)) == 1


def test_only_the_last_entries_are_remembered(start, user):
    server = start("--idempotency-entries", "4")
    for i in range(8):
        post(server, user, key=f"k{i}")
    assert "duplicate" not in post(server, user, key="k0").json()
    assert post(server, user, key="k0").json()["duplicate"] is True


def test_a_key_is_forgotten_after_its_time(start, user):
    server = start("--idempotency-ttl", "1s")
    post(server, user, key="k")

    async def forgotten():
        while "duplicate" in post(server, user, key="k").json():
            await asyncio.sleep(0.1)

    run(forgotten(), deadline=DEADLINE)
