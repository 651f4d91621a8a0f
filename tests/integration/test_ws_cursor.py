"""Where a session starts: after a cursor, with all that is kept, or now; and what a gap says."""

import asyncio
import json
import random
import time

import pytest

from frames import Client
from harness import DEADLINE, run, scaled, wait_until

pytestmark = pytest.mark.workers


def session(server, user, query=""):
    client = Client(server.port, f"/ws/{user}?format=json{query}", timeout=DEADLINE)
    client.welcome = client.recv_json()
    assert client.welcome["type"] == "welcome"
    return client


def received(server, user, client):
    """All frames up to a mark sent now."""
    mark = server.send(user, "the mark", sender="test")["id"]
    got = []
    while True:
        frame = client.recv_json()
        if frame.get("id") == mark:
            return got
        got.append(frame)


def bodies(got):
    return [f["message"] for f in got if f["type"] == "message"]


def gaps(got):
    return [(f["after"], f["resumes"]) for f in got if f["type"] == "gap"]


def test_without_after_a_session_starts_now(shared):
    shared.send("ann", "before")
    with session(shared, "ann") as client:
        shared.send("ann", "after")
        assert bodies(received(shared, "ann", client)) == ["after"]


def test_after_0_brings_all_that_is_kept_and_never_gaps(shared):
    for n in range(250):
        shared.send("bea", n)
    with session(shared, "bea", "&after=0") as client:
        assert client.welcome["cursor"].strip("0") == ""
        got = received(shared, "bea", client)
        assert bodies(got) == list(range(250)) and not gaps(got)


def test_after_brings_what_follows_it(shared):
    ids = [shared.send("cal", n)["id"] for n in range(30)]
    for at in 0, 10, 28, 29:
        with session(shared, "cal", f"&after={ids[at]}") as client:
            assert client.welcome["cursor"] == ids[at]
            got = [n for n in bodies(received(shared, "cal", client)) if n != "the mark"]
            assert got == list(range(at + 1, 30))


def test_the_welcome_cursor_resumes_without_loss(shared):
    """Also by who never got a message: what came between the two sessions is there."""
    shared.send("dan", "old")
    with session(shared, "dan") as client:
        cursor = client.welcome["cursor"]
    shared.send("dan", "between")
    with session(shared, "dan", f"&after={cursor}") as client:
        got = received(shared, "dan", client)
        assert bodies(got) == ["between"] and not gaps(got)


def test_a_cursor_between_two_ids_is_fine(shared):
    first = shared.send("eve", 1)["id"]
    shared.send("eve", 2)
    for after, expected in ((int(first) - 1, [1, 2]), (int(first), [2])):
        with session(shared, "eve", f"&after={after}") as client:
            got = received(shared, "eve", client)
            assert [m for m in bodies(got) if m != "the mark"] == expected and not gaps(got)


def test_a_text_session_takes_after_too(shared):
    first = shared.send("fay", 1)["id"]
    shared.send("fay", "two")
    with Client(shared.port, f"/ws/fay?after={first}") as client:
        assert client.recv().text == "[bob]: two"
    with Client(shared.port, "/ws/fay?after=0") as client:
        assert client.recv().text == "[bob]: 1"
        assert client.recv().text == "[bob]: two"


def test_exactly_once_over_reconnects_while_messages_flow(start):
    """A client that keeps its cursor, is cut off at random places, and misses nothing."""
    server = start("--workers", "2")
    count = scaled(2000, least=200)

    async def publish(done):
        import httpx
        async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE) as http:
            for n in range(count):
                answer = await http.post("/send-message", json={
                    "sender": "bob", "receiver": "gil", "message": n})
                assert answer.status_code == 200
        done.set()

    async def receive(seed):
        dice, cursor, got, connections = random.Random(seed), "0", [], 0
        while len(got) < count:
            connections += 1
            async with server.ws(f"/ws/gil?after={cursor}", form="json", close_timeout=0.1) as socket:
                for _ in range(dice.randrange(1, count // 10)):
                    frame = json.loads(await socket.recv())
                    assert frame["type"] in ("welcome", "message"), frame
                    if frame["type"] == "message":
                        assert frame["id"] > cursor
                        cursor = frame["id"]
                        got.append(frame["message"])
                    if len(got) == count:
                        break
                if dice.random() < 0.5:
                    socket.transport.abort()
        assert got == list(range(count))
        return connections

    async def go():
        done = asyncio.Event()
        connections = (await asyncio.gather(publish(done), *(receive(n) for n in range(6))))[1:]
        assert min(connections) > 5
    run(go())
    assert server.metric("replayed_total") > 0
    assert server.metric("gaps_total") == 0


# ---- gaps ----

def test_a_restart_is_a_gap_where_memory_is_the_broker(start):
    first = start("--broker", "memory")
    cursor = first.send("hal", "lost with the first server")["id"]
    first.stop()
    server = start("--broker", "memory")
    with session(server, "hal", f"&after={cursor}") as client:
        got = received(server, "hal", client)
        ((after, resumes),) = gaps(got)
        assert after == cursor and resumes >= cursor and not bodies(got)
    with session(server, "hal", "&after=0") as client:
        assert not gaps(received(server, "hal", client))
    assert server.metric("gaps_total") == 1


def test_messages_follow_the_gap_of_a_restart(start):
    first = start()
    cursor = first.send("hal", "lost")["id"]
    first.stop()
    server = start()  # in another folder
    kept = [server.send("hal", n)["id"] for n in range(5)]
    with session(server, "hal", f"&after={cursor}") as client:
        got = received(server, "hal", client)
        assert got[0]["type"] == "gap" and got[0]["resumes"] < kept[0]
        assert bodies(got) == list(range(5))


def test_what_keep_messages_removed_is_a_gap(start):
    server = start("--broker", "memory", "--keep-messages", "10")
    ids = [server.send("ida", n)["id"] for n in range(40)]
    kept = len(server.http.get("/users/ida/messages?after=0").json()["messages"])
    assert 9 <= kept <= 12  # within an eighth
    with session(server, "ida", f"&after={ids[5]}") as client:
        first = client.recv_json()
        assert first["type"] == "gap" and first["after"] == ids[5]
        assert ids[5] < first["resumes"] < ids[40 - kept] or first["resumes"] == ids[39 - kept]
        assert [client.recv_json()["message"] for _ in range(kept)] == list(range(40 - kept, 40))
    with session(server, "ida", f"&after={ids[-3]}") as client:
        assert client.recv_json()["message"] == 38  # this one has missed nothing
    with session(server, "ida", "&after=0") as client:
        assert client.recv_json()["type"] == "message"


def test_what_keep_total_removed_is_a_gap_for_its_user_only(start):
    server = start("--broker", "memory", "--keep-total", "1MiB")
    old = server.send("joy", "old")["id"]
    server.send("joy", "second")
    other = server.send("kim", "kept for kim")["id"]
    for n in range(60):
        server.send("flood", "x" * 60000)
    new = server.send("kim", "new")["id"]
    with session(server, "joy", f"&after={old}") as client:
        assert client.recv_json()["type"] == "gap"
    with session(server, "flood", f"&after={int(new) - 1}") as client:
        assert not gaps(received(server, "flood", client))
    with session(server, "kim", f"&after={other}") as client:
        got = received(server, "kim", client)
        assert bodies(got)[0] == "new" and not gaps(got)


def test_a_gap_closes_a_text_session(start):
    server = start("--broker", "memory", "--keep-messages", "10")
    ids = [server.send("lea", n)["id"] for n in range(40)]
    with Client(server.port, f"/ws/lea?after={ids[0]}") as client:
        client.expect_close(4410)
    with Client(server.port, f"/ws/lea?after={ids[-1]}") as client:
        server.send("lea", "fine")
        assert client.recv().text == "[bob]: fine"
    assert server.metric("closed_total", reason="gap") == 1


def test_a_gap_is_told_once_in_a_session(start):
    server = start("--broker", "memory", "--keep-messages", "10")
    ids = [server.send("lea", n)["id"] for n in range(40)]
    with session(server, "lea", f"&after={ids[0]}") as client:
        got = received(server, "lea", client)
        assert len(gaps(got)) == 1
        for n in range(30):
            server.send("lea", n)
        got = received(server, "lea", client)
        assert not gaps(got)


def test_a_cursor_above_the_head_is_a_gap_and_starts_at_the_head(shared):
    kept = shared.send("max", "kept")["id"]
    for after in (str(int(kept) + (1 << 40)), "9223372036854775807"):
        with session(shared, "max", f"&after={after}") as client:
            got = received(shared, "max", client)
            assert [f["type"] for f in got] == ["gap"]
            assert got[0]["after"] == after.zfill(19)
            assert got[0]["resumes"] >= kept
            assert bodies(received(shared, "max", client)) == []


def test_a_publisher_s_own_ttl_is_no_gap(start):
    server = start()
    first = server.send("ned", "first")["id"]
    server.send("ned", "short", ttl=1)
    server.send("ned", "long", ttl=100)
    time.sleep(1.2)
    with session(server, "ned", f"&after={first}") as client:
        got = received(server, "ned", client)
        assert bodies(got) == ["long"] and not gaps(got)


def test_the_default_ttl_is_a_gap(start):
    server = start("--ttl", "1s")
    first = server.send("ned", "first", ttl=100)["id"]
    server.send("ned", "by default")
    time.sleep(1.2)
    with session(server, "ned", f"&after={first}") as client:
        got = received(server, "ned", client)
        assert not bodies(got) and len(gaps(got)) == 1


def test_an_erased_mailbox_is_no_gap(start):
    server = start()
    first = server.send("oda", "first")["id"]
    server.send("oda", "second")
    assert server.http.delete("/users/oda/messages").status_code in (200, 204)
    with session(server, "oda", f"&after={first}") as client:
        got = received(server, "oda", client)
        assert not bodies(got) and not gaps(got)


def test_ttl_0_reaches_who_is_there_and_is_not_kept(start):
    server = start()
    with session(server, "pia") as client:
        answer = server.send("pia", "now", ttl=0)
        assert answer["delivered"] == 1 and answer["kept"] is False
        assert client.recv_json()["message"] == "now"
        cursor = client.welcome["cursor"]
    wait_until(lambda: not server.http.get("/users/pia").json()["online"])
    with session(server, "pia", f"&after={cursor}") as client:
        got = received(server, "pia", client)
        assert not bodies(got) and not gaps(got)


def test_ids_of_kept_and_unkept_messages_rise_together(start):
    server = start()
    with session(server, "quin") as client:
        sent = [server.send("quin", n, ttl=(0 if n % 2 else 100))["id"] for n in range(40)]
        got = received(server, "quin", client)
        assert [f["id"] for f in got] == sent == sorted(sent)
