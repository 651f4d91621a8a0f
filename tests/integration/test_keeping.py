"""What the file keeps and for how long: limits that hold to within an eighth, in the background, and
what is told of it after a restart.

The index of addresses is filled a second after the last message, or under load; limits hold from
then on. So tests wait until they do."""

import json
import time

import pytest

from data_file import wait_for_index
from harness import run, wait_until

pytestmark = pytest.mark.workers


def page(server, path, **parameters):
    answer = server.http.get(f"/{path}/messages", params={"after": 0, "limit": 1000, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(server, path, **parameters):
    return [m["message"] for m in page(server, path, **parameters)["messages"]]


def keep(start, *args, **options):
    return start("--broker", "sqlite", *args, **options)


def restarted(start, server, *args):
    server.stop()
    return keep(start, *args, folder=server.folder)


def test_what_was_sent_is_there_after_a_restart(start):
    first = keep(start)
    told = [first.send("ann", n) for n in range(10)]
    assert all(t["kept"] and t["durable"] for t in told)
    first.http.post("/send-message", json={"sender": "bob", "channel": "news", "message": "news"})
    first.http.post("/send-message", json={"sender": "bob", "broadcast": True, "message": "all"})
    server = restarted(start, first)
    assert "messages=12" in server.log_text()
    assert numbers(server, "users/ann") == list(range(10))
    assert numbers(server, "channels/news") == ["news"]
    assert page(server, "users/ann", after=told[4]["id"])["gap"] is None

    async def scenario():
        async with server.ws(f"/ws/ann?channels=news&after={told[7]['id']}") as socket:
            return [await socket.recv() for _ in range(4)]

    assert run(scenario()) == ["[bob]: 8", "[bob]: 9", "[bob]: news", "[bob]: all"]
    assert server.send("ann", "new")["id"] > told[-1]["id"]
    assert server.metric("gaps_total") == 0


def test_a_cursor_of_a_message_that_was_not_kept_is_no_gap_after_a_restart(start):
    first = keep(start)
    first.send("ann", "kept")
    cursor = first.send("ann", "not kept", ttl=0)["id"]
    server = restarted(start, first)
    assert page(server, "users/ann", after=cursor)["gap"] is None
    assert server.send("ann")["id"] > cursor


def test_the_welcome_s_cursor_is_no_gap_after_a_restart(start):
    async def welcome(server):
        async with server.ws("/ws/ann", form="json") as socket:
            return (await socket.recv()).partition('"cursor":"')[2][:19]

    first = keep(start)
    first.send("ann")
    second = restarted(start, first)
    cursor = run(welcome(second))
    server = restarted(start, second)
    assert page(server, "users/ann", after=cursor)["gap"] is None


def test_another_folder_is_a_gap(start):
    first = keep(start)
    cursor = first.send("ann", "elsewhere")["id"]
    first.stop()
    server = keep(start)
    here = server.send("ann", "here")["id"]
    told = page(server, "users/ann", after=cursor)
    assert told["gap"]["after"] == cursor and cursor <= told["gap"]["resumes"] < here
    assert [m["message"] for m in told["messages"]] == ["here"]


def test_keys_are_known_after_a_restart(start):
    body = {"sender": "bob", "receiver": "ann", "message": "hi", "key": "k"}
    first = keep(start)
    sent = first.http.post("/send-message", json=body).json()
    server = restarted(start, first)
    again = server.http.post("/send-message", json=body).json()
    assert again == {"status": "Message sent", "id": sent["id"], "duplicate": True, "kept": True,
                     "durable": True}
    assert server.http.post("/send-message", json={**body, "message": "ho"}).status_code == 409
    assert numbers(server, "users/ann") == ["hi"]


def test_erased_mail_stays_erased_after_a_restart(start):
    first = keep(start)
    cursor = first.send("ann", "old")["id"]
    first.send("ann", "erased")
    first.send(["ann", "ben"], "for both")
    assert first.http.delete("/users/ann/messages").json()["erased"] == 3
    first.send("ann", "new")
    server = restarted(start, first)
    told = page(server, "users/ann", after=cursor)
    assert [m["message"] for m in told["messages"]] == ["new"] and told["gap"] is None
    assert numbers(server, "users/ben") == ["for both"]


def test_when_a_user_was_last_seen_is_known_after_a_restart(start):
    async def visit(server):
        async with server.ws("/ws/ann"):
            pass

    first = keep(start)
    run(visit(first))
    seen = wait_until(lambda: first.http.get("/users/ann").json()["last_seen"])
    server = restarted(start, first)
    assert server.http.get("/users/ann").json()["last_seen"] == seen


# ---- limits of an address: to within an eighth ----

SMALL_WINDOW = ("--recent-bytes", "1MiB")
FILLING = "x" * 20_000
within_and_beyond_memory = pytest.mark.parametrize("window", [SMALL_WINDOW, ()],
                                                   ids=["beyond", "within"])


def told_numbers(server, path):
    return [m[0] for m in numbers(server, path)]


@within_and_beyond_memory
def test_keep_messages_holds_to_within_an_eighth(start, window):
    limits = ("--keep-messages", "80", *window)
    server = keep(start, *limits)
    ids = [server.send("ann", [n, FILLING])["id"] for n in range(200)]
    server.send("ben", "untouched")
    kept = wait_until(lambda: len(told := told_numbers(server, "users/ann")) <= 90 and told)
    assert 80 <= len(kept) and kept == list(range(200 - len(kept), 200))  # the oldest went
    assert numbers(server, "users/ben") == ["untouched"]
    for life in range(2):
        told = page(server, "users/ann", after=ids[3])
        assert told["gap"] == {"after": ids[3], "resumes": ids[199 - len(kept)]}
        assert page(server, "users/ann", after=ids[199 - len(kept)])["gap"] is None
        assert page(server, "users/ann")["gap"] is None
        if life == 0:
            server = restarted(start, server, *limits)


@within_and_beyond_memory
def test_keep_bytes_holds_to_within_an_eighth(start, window):
    server = keep(start, "--keep-bytes", "2000KiB", *window)
    for n in range(300):
        server.send("ann", [n, FILLING])
    server.send("ben", "untouched")
    kept = wait_until(lambda: len(told := told_numbers(server, "users/ann")) <= 115 and told)
    assert 90 <= len(kept) and kept == list(range(300 - len(kept), 300))
    assert numbers(server, "users/ben") == ["untouched"]


def test_what_one_of_several_receivers_lost_to_a_limit_the_others_have(start):
    server = keep(start, "--keep-messages", "80", *SMALL_WINDOW)
    server.send(["ann", "ben"], ["for both"])
    for n in range(200):
        server.send("ann", [n, FILLING])
    wait_until(lambda: len(told_numbers(server, "users/ann")) <= 90)
    assert told_numbers(server, "users/ben") == ["for both"]


@within_and_beyond_memory
def test_what_is_long_gone_does_not_count(start, window):
    server = keep(start, "--keep-messages", "100", *window)
    mails = ["contract"]
    cursor = server.send("ann", mails[0], ttl=86400)["id"]
    for round in range(4):
        for n in range(60):
            server.send("ann", ["typing", n], ttl=1)
        mails.append(f"mail {round}")
        server.send("ann", mails[-1])
        wait_until(lambda: server.metric("broker_messages") == len(mails))
        assert numbers(server, "users/ann") == mails
    assert page(server, "users/ann", after=cursor)["gap"] is None


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not-indexed"])
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_was_erased_is_counted_over_restarts(start, indexed, end):
    server = keep(start)
    server.send("ben", "stays")
    for n in range(5):
        server.send("ann", n)
    server.send(["ann", "ben"], "for both")
    if indexed:
        wait_for_index(server)
    assert server.http.delete("/users/ann/messages").json()["erased"] == 6
    for life in range(3):
        wait_until(lambda: server.metric("broker_messages") == 2)
        getattr(server, end)()
        server = keep(start, folder=server.folder)
        assert "messages=2" in server.log_text()


# ---- age ----

def test_age_takes_what_is_kept_and_tells(start):
    server = keep(start, "--ttl", "1s")
    cursor = server.send("ann", "first")["id"]
    last = server.send("ann", "second")["id"]
    server.send("ann", "longer", ttl=3600)
    wait_until(lambda: numbers(server, "users/ann") == ["longer"])
    wait_until(lambda: server.metric("broker_messages") == 1)  # gone from the file
    for life in range(2):
        told = page(server, "users/ann", after=cursor)
        assert told["gap"] == {"after": cursor, "resumes": last}
        assert [m["message"] for m in told["messages"]] == ["longer"]
        if life == 0:
            server = restarted(start, server)


def test_what_very_many_lost_is_no_gap_for_others(start):
    server = keep(start, "--ttl", "1s")
    cursor = server.send("ann", "no loss", ttl=1)["id"]
    others = [[f"u{n}-{i}" for i in range(1000)] for n in range(80)]
    for users in others:
        server.send(users, "lost")
    last = server.send("ben", "last", ttl=3600)["id"]
    wait_until(lambda: server.metric("broker_messages") == 1)
    end = time.monotonic() + 2
    while time.monotonic() < end:  # memory lets go of it once a second
        assert page(server, "users/ann", after=cursor)["gap"] is None
        time.sleep(0.1)
    for users in (others[0], others[-1]):
        assert page(server, f"users/{users[0]}", after=cursor)["gap"]
        assert page(server, f"users/{users[0]}", after=last)["gap"] is None


def test_a_publisher_s_own_ttl_is_no_gap_after_a_restart(start):
    first = keep(start)
    cursor = first.send("ann", "kept")["id"]
    first.send("ann", "short", ttl=1)
    wait_until(lambda: first.metric("broker_messages") == 1)
    server = restarted(start, first)
    told = page(server, "users/ann", after=cursor)
    assert told["messages"] == [] and told["gap"] is None


# ---- the whole file ----

@within_and_beyond_memory
def test_keep_total_holds_and_gives_the_space_back(start, window):
    server = keep(start, "--keep-total", "2MiB", *window)
    ids = [server.send("ann", [n, "x" * 20_000])["id"] for n in range(300)]
    wait_until(lambda: server.metric("broker_bytes") <= (2 << 20))
    kept = wait_until(lambda: (told := numbers(server, "users/ann")) and len(told) < 110 and told)
    assert len(kept) > 40
    assert [m[0] for m in kept] == list(range(300 - len(kept), 300))
    told = page(server, "users/ann", after=ids[0])
    assert told["gap"]["after"] == ids[0]
    assert told["messages"][0]["id"] > told["gap"]["resumes"]
    server.stop()
    size = (server.folder / "pushwire-data" / "messages.db").stat().st_size
    assert size < (3 << 20)


def publish_many(server, count, **fields):
    line = json.dumps({"sender": "bob", "receiver": "ben", "message": "x" * 60, **fields})
    answer = server.http.post("/send-messages", content="\n".join([line] * count),
                              headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 200


def test_keep_total_holds_while_many_publish(start):
    server = keep(start, "--keep-total", "2MiB", "--keep-messages", "10000000")
    for _ in range(15):
        publish_many(server, 4000)
        assert server.metric("broker_bytes") < (3 << 20)
    wait_until(lambda: server.metric("broker_bytes") <= (2 << 20))
    assert server.metric("broker_messages") > 5000


@pytest.mark.parametrize("options, fields", [(("--ttl", "1h"), {"ttl": 1}), (("--ttl", "1s"), {})],
                         ids=["own", "default"])
def test_age_takes_as_fast_as_others_publish(start, options, fields):
    server = keep(start, "--keep-messages", "10000000", *SMALL_WINDOW, *options)
    sent = 0

    def publish(count, **fields):
        nonlocal sent
        publish_many(server, count, **fields)
        sent += count

    def has_begun():
        publish(2000, ttl=3600)
        return server.metric("broker_messages") < sent

    for _ in range(10):
        publish(4000, **fields)
    time.sleep(1)  # all of them are over
    wait_until(has_begun)
    for _ in range(10):
        publish(2000, ttl=3600)
    assert server.metric("broker_messages") <= sent - 20_000


def test_limits_take_as_fast_as_others_publish(start):
    server = keep(start, "--keep-messages", "1000", *SMALL_WINDOW)
    for _ in range(15):
        publish_many(server, 4000)
        assert server.metric("broker_messages") <= 12_000
    assert len(numbers(server, "users/ben")) == 1000


def test_what_is_over_does_not_push_out_what_is_not(start):
    server = keep(start, "--keep-total", "4MiB", "--keep-messages", "10000000")
    cursor = server.send("ann", "contract", ttl=86400)["id"]
    server.send("ann", "mail")
    for _ in range(50):
        publish_many(server, 1000, ttl=1)
        time.sleep(0.1)  # so that no more is alive at once than there is room for
    wait_until(lambda: server.metric("broker_messages") == 2)
    assert numbers(server, "users/ann") == ["contract", "mail"]
    assert page(server, "users/ann", after=cursor)["gap"] is None


def test_keys_do_not_push_messages_out(start):
    server = keep(start, "--keep-total", "2MiB", "--keep-messages", "10000000")
    for n in range(10):
        server.send("ann", n)
    for n in range(10):
        lines = [json.dumps({"sender": "bob", "receiver": "ben", "message": "x", "ttl": 0,
                             "key": f"{n}-{i}"}) for i in range(5_000)]
        answer = server.http.post("/send-messages", content="\n".join(lines),
                                  headers={"Content-Type": "application/x-ndjson"})
        assert answer.status_code == 200
    server.send("ben", "once it is gone, all has been looked at", ttl=1)
    wait_until(lambda: server.metric("broker_messages") == 10)
    assert server.metric("broker_bytes") > (2 << 20)  # by keys alone
    assert numbers(server, "users/ann") == list(range(10))


def test_what_is_recent_and_what_is_not_make_one_row(start):
    """Pages come from memory, from the file, and from both; none may show a seam."""
    server = keep(start, "--recent-bytes", "1MiB", "--keep-messages", "100000")
    for n in range(400):
        server.send("ann", [n, "x" * 5000])
    found, cursor = [], 0
    while True:
        told = page(server, "users/ann", after=cursor, limit=7)
        found += [m["message"][0] for m in told["messages"]]
        cursor = told["next"]
        if not told["more"]:
            break
    assert found == list(range(400))
    found, parameters = [], {"limit": 7}
    while True:
        told = server.http.get("/users/ann/messages", params=parameters).json()
        found += [m["message"][0] for m in told["messages"]]
        if not told["more"]:
            break
        parameters["before"] = told["next"]
    assert found == list(range(399, -1, -1))
