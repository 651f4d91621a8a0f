"""Who gets what: every session of a user, each message, in rising ids; nobody else."""

import asyncio
import contextlib
import json
import time
import urllib.parse

import httpx
import pytest
import websockets

import frames
from frames import Client
from harness import DEADLINE, http_client, run, scaled, wait_until

pytestmark = pytest.mark.workers


def opened(server, user, count=1, query="format=json"):
    """Sessions of a user, past their welcome."""
    path = "/ws/" + urllib.parse.quote(user, safe="") + "?" + query
    made = [Client(server.port, path, timeout=DEADLINE) for _ in range(count)]
    if "json" in query:
        for client in made:
            assert client.recv_json()["type"] == "welcome"
    return made


def end(clients):
    for client in clients:
        client.socket.close()


def messages(client, count):
    got = []
    while len(got) < count:
        frame = client.recv_json()
        assert frame["type"] == "message", frame
        got.append(frame)
    return got


def nothing_more(server, user, client):
    """A witness of silence: what is sent next is what comes next."""
    server.send(user, "the end")
    assert messages(client, 1)[0]["message"] == "the end"


def test_every_session_of_a_user_gets_every_message_in_rising_ids(shared):
    tabs = opened(shared, "ada", 8)
    sent = [shared.send("ada", {"n": n}) for n in range(50)]
    assert all(answer["delivered"] == 8 for answer in sent)
    for tab in tabs:
        got = messages(tab, 50)
        assert [m["id"] for m in got] == [answer["id"] for answer in sent]
        assert [m["id"] for m in got] == sorted({m["id"] for m in got})
        assert [m["message"] for m in got] == [{"n": n} for n in range(50)]
    end(tabs)


def test_other_users_get_nothing(shared):
    names = ["bea", "be", "beaa", "Bea", "bea ", "b%65a", "béa"]
    others = {name: opened(shared, name)[0] for name in names[1:]}
    (bea,) = opened(shared, "bea")
    assert shared.send("bea", "for bea")["delivered"] == 1
    assert messages(bea, 1)[0]["message"] == "for bea"
    for name, client in others.items():
        nothing_more(shared, name, client)
    end([bea, *others.values()])


def test_receivers_get_one_message_with_one_id(shared):
    (one,), two = opened(shared, "cal"), opened(shared, "dan", 2)
    answer = shared.send(["cal", "dan", "nobody"], "for both")
    assert answer["delivered"] == 3
    assert answer["receivers"] == [{"receiver": "cal", "delivered": 1},
                                   {"receiver": "dan", "delivered": 2},
                                   {"receiver": "nobody", "delivered": 0}]
    for client in one, *two:
        (got,) = messages(client, 1)
        assert (got["id"], got["message"]) == (answer["id"], "for both")
        assert "receiver" not in got and "channel" not in got
    nothing_more(shared, "cal", one)
    end([one, *two])


def test_a_receiver_named_twice_gets_it_once(shared):
    (client,) = opened(shared, "eve")
    answer = shared.http.post("/send-message", json={
        "sender": "bob", "receivers": ["eve", "eve"], "message": "once"})
    if answer.status_code == 200:
        assert answer.json()["delivered"] == 1
        assert messages(client, 1)[0]["message"] == "once"
    nothing_more(shared, "eve", client)
    end([client])


MESSAGES = ["hi", "", "[bob]: hi", 'quo"te', "back\\slash", "line\nbreak", "가나다 🦊",
            "\u2028", 0, -1.5, True, None, [], {}, {"title": "T", "data": {"a": [1, None]}}, 1e300]


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_both_forms_show_the_same_message(shared, message):
    (text,) = opened(shared, "fay", query="format=text")
    (json_,) = opened(shared, "fay")
    answer = shared.send("fay", message, sender="bøb")
    got = json_.recv_json()
    assert set(got) == {"type", "id", "sender", "message", "sent_at"}
    assert (got["type"], got["id"], got["sender"]) == ("message", answer["id"], "bøb")
    assert got["message"] == message and type(got["message"]) is type(message)
    assert len(got["sent_at"]) == len("2026-01-01T00:00:00.000Z") and got["sent_at"][-1] == "Z"
    shown = text.recv_data()
    assert shown.opcode == frames.TEXT
    before, after = shown.text[:7], shown.text[7:]
    assert before == "[bøb]: "
    if isinstance(message, str):
        assert after == message
    else:
        assert json.loads(after) == message
        assert " " not in after  # compact
    end([text, json_])


def test_the_tutorial_s_frame_to_the_byte(shared):
    (client,) = opened(shared, "alice", query="")
    answer = shared.http.post("/send-message", json={
        "sender": "bob", "receiver": "alice", "message": "hi"})
    assert answer.json()["status"] == "Message sent"
    assert client.recv() == frames.Frame(frames.TEXT, b"[bob]: hi")
    end([client])


@pytest.mark.parametrize("size", [100, 125, 126, 127, 65000, 65530])
def test_messages_of_all_frame_lengths_arrive_whole(shared, size):
    (text,) = opened(shared, "gil", query="format=text")
    (json_,) = opened(shared, "gil")
    for more in range(-20, 5):
        body = "x" * (size + more)
        shared.send("gil", body)
        assert text.recv().text == "[bob]: " + body
        assert json_.recv_json()["message"] == body
    end([text, json_])


def test_sessions_that_come_and_go_do_not_disturb_others(shared):
    (steady,) = opened(shared, "hal")
    for n in range(30):
        passing = opened(shared, "hal", 3)
        assert shared.send("hal", n)["delivered"] == 4
        for client in passing:
            assert messages(client, 1)[0]["message"] == n
        end(passing)
        wait_until(lambda: len(shared.http.get("/users/hal").json()["sessions"]) == 1)
    assert [m["message"] for m in messages(steady, 30)] == list(range(30))
    end([steady])


def test_sessions_on_all_workers_get_it(start):
    """Enough sockets that the kernel has given some to each worker."""
    server = start("--workers", "2", "--max-sessions-per-user", "1000")
    count = 60
    clients = opened(server, "ida", count)
    here = server.http.get("/users/ida").json()["sessions"]
    assert len(here) == count and len({s["id"] for s in here}) == count
    with contextlib.ExitStack() as stack:
        # Each connection is of one worker, which publishes what comes by it.
        posters = [stack.enter_context(httpx.Client(base_url=server.url)) for _ in range(12)]
        ids = []
        for n in range(60):
            answer = posters[n % 12].post("/send-message", json={
                "sender": "bob", "receiver": "ida", "message": n}).json()
            assert answer["delivered"] == count
            ids.append(answer["id"])
    for client in clients:
        assert [m["id"] for m in messages(client, 60)] == ids
    end(clients)


def test_whoever_reads_the_101_is_found(start):
    """By messages of other workers, too, and by such as are not kept."""
    server = start("--workers", "4")
    with contextlib.ExitStack() as stack:
        posters = [stack.enter_context(http_client(server.url)) for _ in range(12)]
        for n in range(300):
            client = Client(server.port, f"/ws/user{n}", timeout=DEADLINE)
            answer = posters[n % 12].post("/send-message", json={
                "sender": "bob", "receiver": f"user{n}", "message": n, "ttl": 0}).json()
            assert answer["delivered"] == 1
            assert client.recv().payload == f"[bob]: {n}".encode()
            end([client])


def test_all_sessions_see_one_order_while_many_send_at_once(start):
    server = start("--workers", "2")
    senders, each = 12, scaled(100, least=10)
    clients = opened(server, "joy", 10)

    async def send_all():
        async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE,
                                     limits=httpx.Limits(max_connections=senders)) as http:
            async def send(who):
                ids = []
                for n in range(each):
                    answer = await http.post("/send-message", json={
                        "sender": f"s{who}", "receiver": "joy", "message": n})
                    ids.append(answer.json()["id"])
                return ids
            return await asyncio.gather(*(send(who) for who in range(senders)))

    sent = run(send_all())
    received = [messages(client, senders * each) for client in clients]
    orders = [[m["id"] for m in got] for got in received]
    assert orders[0] == sorted(set(orders[0])) and set(orders[0]) == set(sum(sent, []))
    assert all(order == orders[0] for order in orders)
    for who, ids in enumerate(sent):  # the order of the answers on one connection
        assert [m["id"] for m in received[0] if m["sender"] == f"s{who}"] == ids
    end(clients)


def test_a_library_client_gets_it_too(shared):
    async def go():
        async with shared.ws("/ws/kim", form="json") as socket:
            assert socket.subprotocol == "pushwire.v1.json"
            assert json.loads(await socket.recv())["type"] == "welcome"
            shared.send("kim", "hi")
            assert json.loads(await socket.recv())["message"] == "hi"
            await (await socket.ping())
            await socket.send('{"type":"ping"}')
            assert json.loads(await socket.recv()) == {"type": "pong"}
        assert socket.close_code == 1000
        async with shared.ws("/ws/kim") as socket:
            shared.send("kim", "hi")
            assert await socket.recv() == "[bob]: hi"
    run(go())


# ---- removed, and refused ----

def test_deleting_sessions_closes_all_of_them_and_no_other(start):
    server = start("--workers", "2")
    mine, (text,), (other,) = opened(server, "lea", 10), opened(server, "lea", query=""), opened(
        server, "max")
    answer = server.http.delete("/users/lea/sessions")
    assert answer.status_code in (200, 204)
    for client in mine:
        bye = client.recv_json()
        assert (bye["type"], bye["code"]) == ("bye", "kicked") and bye["retry_ms"] >= 0
        client.expect_close(4403)
    text.expect_close(4403)
    assert server.send("lea")["delivered"] == 0
    assert not server.http.get("/users/lea").json()["online"]
    assert server.metric("closed_total", reason="kicked") == 11
    nothing_more(server, "max", other)
    again = opened(server, "lea")  # open mode knows no ban
    nothing_more(server, "lea", again[0])
    end([other, *again])


def test_nothing_follows_the_bye(start):
    server = start()
    (client,) = opened(server, "ned")
    server.http.delete("/users/ned/sessions")
    server.send("ned", "too late")
    assert client.recv_json()["type"] == "bye"
    client.expect_close(4403)


def test_too_many_sessions_are_refused_before_the_101(start):
    server = start("--max-sessions", "5")
    clients = opened(server, "ned", 5)
    with Client(server.port, handshake=False) as client:
        answer = client.ask(frames.request("/ws/ned"))
        assert (answer.status, answer.code) == (503, "too_many_sessions")
        assert int(answer.headers["retry-after"]) > 0
    assert server.http.get("/healthz").status_code == 200
    assert server.metric("refused_total", code="too_many_sessions") == 1
    end(clients[:1])
    wait_until(lambda: server.metric("sessions") == 4)
    clients += opened(server, "oda", 1)
    nothing_more(server, "oda", clients[-1])
    end(clients)


def test_too_many_sessions_of_a_user_are_closed(start):
    server = start("--max-sessions-per-user", "3", "--workers", "1")
    clients = opened(server, "pia", 3)
    with Client(server.port, "/ws/pia?format=json") as client:
        bye = client.recv_json()
        assert (bye["type"], bye["code"]) == ("bye", "too_many_sessions_of_user")
        client.expect_close(4429)
    with Client(server.port, "/ws/pia") as client:
        client.expect_close(4429)
    assert server.send("pia")["delivered"] == 3
    others = opened(server, "quin", 3)
    end(clients)
    wait_until(lambda: server.metric("sessions") == 3)
    end(opened(server, "pia", 3) + others)


def test_too_many_sessions_of_an_address_are_closed(start):
    server = start("--max-sessions-per-ip", "3")
    clients = opened(server, "rex", 2) + opened(server, "sue", 1)
    with Client(server.port, "/ws/tom?format=json") as client:
        bye = client.recv_json()
        assert (bye["type"], bye["code"]) == ("bye", "too_many_sessions_of_ip")
        client.expect_close(4429)
    assert server.http.get("/healthz").status_code == 200  # it counts sessions, not requests
    end(clients[:1])
    wait_until(lambda: server.metric("sessions") == 2)
    end(opened(server, "tom", 1) + clients)
    assert server.metric("closed_total", reason="too_many_sessions_of_ip") == 1


def test_many_refused_by_a_limit_give_their_places_back(start):
    server = start("--max-sessions-per-user", "1", "--max-sessions", "20")
    clients = opened(server, "una", 1)
    for _ in range(60):
        with Client(server.port, "/ws/una") as client:
            client.expect_close(4429)
    nothing_more(server, "una", clients[0])
    end(clients)


# ---- stopping ----

def test_sessions_are_told_when_the_server_stops(start):
    server = start("--retry-spread", "2s", "--workers", "2")
    clients, (text,) = opened(server, "vic", 20), opened(server, "vic", query="")
    server.signal(15)
    waits = set()
    for client in clients:
        bye = client.recv_json()
        assert (bye["type"], bye["code"]) == ("bye", "stopping")
        assert 0 <= bye["retry_ms"] <= 2000
        waits.add(bye["retry_ms"])
        client.expect_close(1001)
    text.expect_close(1001)
    assert len(waits) > 5
    assert server.wait() == 0


def test_clients_that_ignore_the_close_do_not_hold_the_server_up(start):
    server = start("--drain", "1s")
    clients = opened(server, "wes", 5)
    began = time.monotonic()
    server.signal(15)
    assert server.wait() == 0
    assert time.monotonic() - began < 4
    end(clients)


def test_library_clients_see_1001_on_stop(start):
    server = start()

    async def go():
        async with server.ws("/ws/xia", form="json") as socket:
            server.signal(15)
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await socket.recv()
            assert socket.close_code == 1001
    run(go())
    assert server.wait() == 0
