"""The group chats of the tutorials: a lobby at /ws, rooms at /rooms/<room>?name=bob."""

import asyncio
import json

import pytest

from frames import BINARY, CLOSE, PING, SAMPLE_KEY, TEXT, Client, close, frame, request, text
from harness import run, scaled, wait_until
from streams import session, tell

pytestmark = pytest.mark.workers


def lobby(server, **options):
    return Client(server.port, "/ws", **options)


def room(server, name, who, **options):
    return Client(server.port, f"/rooms/{name}?name={who}", **options)


def settled(server, channel, count):
    wait_until(lambda: server.http.get(f"/channels/{channel}").json()["sessions"] == count)


def hears(client):
    got = client.recv_data()
    assert got.opcode == TEXT, got
    return got.text


# ---- the lobby ----

def test_in_the_lobby_everyone_hears_everyone_and_themselves(start):
    server = start()
    with lobby(server) as ann, lobby(server) as ben, lobby(server) as cal:
        settled(server, "lobby", 3)
        ann.send(text("hello, all"))
        assert hears(ann) == hears(ben) == hears(cal) == "hello, all"
        ben.send(text('{"user":"ben","text":"a \\"page\\" of JSON"}'))
        for client in ann, ben, cal:
            assert hears(client) == '{"user":"ben","text":"a \\"page\\" of JSON"}'
        assert ann.quiet(0.05) and ben.quiet(0.05)


@pytest.mark.parametrize("said", ["", "x", "/exit", "two\nlines\r\n\ttab", "\u0000nul\u0000", "가나다 🦊",
                                  "[bob]: not the form of a session", '"quoted\\"', "\u2028",
                                  "x" * 60_000, "é" * 30_000])
def test_texts_arrive_as_they_were_said(shared, said):
    with lobby(shared) as ann, lobby(shared) as ben:
        settled(shared, "lobby", 2)
        ann.send(text(said))
        assert hears(ben) == hears(ann) == said
    settled(shared, "lobby", 0)


def test_the_lobby_is_the_channel_lobby(start):
    server = start()
    with lobby(server) as guest, session(server, "ann", "&channels=lobby") as ann:
        answer = tell(server, "from a backend", channel="lobby")
        assert answer["delivered"] == 2
        assert hears(guest) == "from a backend"
        assert ann.recv_json()["message"] == "from a backend"
        guest.send(text("from a guest"))
        got = ann.recv_json()
        assert got["message"] == "from a guest" and got["channel"] == "lobby"
        assert hears(guest) == "from a guest"
        tell(server, {"json": [1]}, channel="lobby")
        assert hears(guest) == '{"json":[1]}'


def test_nothing_said_is_kept(start):
    server = start()
    with lobby(server) as ann, room(server, "tea", "bob") as bob:
        settled(server, "room:tea", 1)
        ann.send(text("gone"))
        assert hears(ann) == "gone"
        bob.send(text("gone, too"))
        assert bob.alive()
    for channel in "lobby", "room:tea":
        assert server.http.get(f"/channels/{channel}/messages").json()["messages"] == []
    with lobby(server) as late:
        assert late.quiet()
    assert server.metric("broker_messages") == 0


# ---- rooms ----

def test_in_a_room_all_others_hear_it_with_the_name(shared):
    with room(shared, "tea", "ann") as ann, room(shared, "tea", "bob") as bob, \
            room(shared, "tea", "bob") as bob2, room(shared, "coffee", "cal") as cal:
        settled(shared, "room:tea", 3)
        ann.send(text("hi"))
        assert hears(bob) == hears(bob2) == "ann: hi"
        bob.send(text("hi, ann"))  # of two with one name, each is the other's other
        assert hears(ann) == hears(bob2) == "bob: hi, ann"
        assert ann.quiet(0.05) and bob.quiet(0.05) and cal.quiet(0.05)


def test_exit_leaves_a_room_with_1000(shared):
    with room(shared, "out", "ann") as ann, room(shared, "out", "bob") as bob:
        settled(shared, "room:out", 2)
        for said in "/exit ", " /exit", "/exit\n", "/EXIT", "say /exit":
            ann.send(text(said))
            assert hears(bob) == f"ann: {said}"
        ann.send(text("/exit"))
        ann.expect_close(1000)
        settled(shared, "room:out", 1)
        assert bob.quiet(0.05)  # it is not said to the others


def test_a_close_of_the_client_s_leaves_as_well(shared):
    with room(shared, "out2", "ann") as ann:
        ann.send(close(1000))
        assert ann.recv_close().code == 1000
    settled(shared, "room:out2", 0)


def test_names_and_rooms_in_other_scripts(shared):
    with room(shared, "caf%C3%A9", "%EA%B0%80%20b") as ann, room(shared, "caf%C3%A9", "bob") as bob:
        settled(shared, "room:caf%C3%A9", 2)
        ann.send(text("hi"))
        assert hears(bob) == "가 b: hi"


@pytest.mark.parametrize("path", ["/rooms/tea", "/rooms/tea?name=", "/rooms/tea?name=a/b",
                                  "/rooms/tea?name=%00", "/rooms/tea?name=%0a", "/rooms/tea?name=..",
                                  "/rooms/tea?name=" + "x" * 129, "/rooms/a%2Fb?name=x",
                                  "/rooms/" + "x" * 124 + "?name=bob", "/rooms/..?name=bob"])
def test_wrong_names_are_refused_before_the_101(shared, path):
    with Client(shared.port, handshake=False) as client:
        answer = client.ask(request(path))
        assert answer.status in (400, 404), answer


@pytest.mark.parametrize("name", ["a%5Db", "admin%5D:%20listen", "admin:%20listen", "a:%20"])
def test_a_name_that_could_pass_for_another_s_is_refused(shared, name):
    with Client(shared.port, handshake=False) as client:
        answer = client.ask(request(f"/rooms/brackets?name={name}"))
        assert answer.status == 400
        assert "A name in a room has no ], and no colon before a space." in str(answer)


@pytest.mark.parametrize("name,shown", [("acme:ann", "acme:ann"), ("%5Ban", "[an"), ("a%20:b", "a :b")])
def test_a_name_may_have_what_ends_no_name(shared, name, shown):
    tea = f"names-{len(shown)}"
    with room(shared, tea, name) as ann, room(shared, tea, "bob") as bob:
        settled(shared, f"room:{tea}", 2)
        ann.send(text("hi"))
        assert hears(bob) == f"{shown}: hi"


def test_a_room_s_messages_come_to_a_channel_s_subscribers(shared, user):
    with room(shared, "open", "bob") as bob, session(shared, user, "&channels=room:open") as client:
        bob.send(text("hi"))
        got = client.recv_json()
        assert (got["sender"], got["message"], got["channel"]) == ("bob", "hi", "room:open")
        tell(shared, "from outside", channel="room:open", sender="desk")
        assert hears(bob) == "desk: from outside"


def test_guests_hear_broadcasts_and_are_no_users(start):
    server = start()
    with lobby(server) as ann, room(server, "tea", "bob") as bob:
        settled(server, "room:tea", 1)
        assert server.http.get("/users?online=true").json()["users"] == []
        assert tell(server, "closing soon", broadcast=True, sender="desk")["delivered"] == 2
        assert hears(ann) == "closing soon" and hears(bob) == "desk: closing soon"


# ---- what is no talk ----

@pytest.mark.parametrize("path", ["/ws", "/rooms/wrong?name=bob"])
@pytest.mark.parametrize("data, code", [
    (frame(TEXT, b"\xff\xfe"), 1007), (frame(TEXT, b"\xc0\xaf"), 1007),
    (frame(TEXT, b"\xed\xa0\x80"), 1007), (frame(TEXT, b"ok \xf0\x9f"), 1007),
    (frame(BINARY, b"hi"), 1003), (frame(TEXT, b"x" * 70_000), 1009),
    (frame(TEXT, b"x", rsv=4), 1002), (frame(TEXT, b"x", mask=None), 1002)])
def test_what_is_no_text_closes_and_is_not_passed_on(shared, path, data, code):
    with Client(shared.port, path) as wrong, Client(shared.port, path.replace("bob", "ann")) as other:
        wrong.send(data)
        wrong.expect_close(code)
        assert other.quiet(0.05) and other.alive()


def test_a_text_in_fragments_is_one_text(shared):
    with room(shared, "parts", "ann") as ann, room(shared, "parts", "bob") as bob:
        settled(shared, "room:parts", 2)
        ann.send(text("one ", fin=False) + frame(PING, b"?") + frame(0, "é two".encode()))
        assert hears(bob) == "ann: one é two"


def test_a_plain_get_is_told_to_upgrade(shared):
    for path in "/ws", "/rooms/tea?name=bob":
        answer = shared.http.get(path)
        assert answer.status_code in (400, 426)
        evil = shared.http.get(path, headers={
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": SAMPLE_KEY, "Origin": "http://evil.example"})
        assert evil.status_code == 403


def test_limits_hold_for_guests_too(start):
    server = start("--max-sessions", "2", "--max-channels", "1", "--workers", "1")
    with room(server, "one", "ann"), Client(server.port, handshake=False) as other:
        assert other.ask(request("/rooms/two?name=bob")).status == 101  # one channel too many
        assert other.recv_close().code in (1013, 4429, 4400)
    wait_until(lambda: server.metric("sessions") == 0)
    with lobby(server), lobby(server), Client(server.port, handshake=False) as third:
        assert third.ask(request("/ws")).status == 503


def test_stopping_closes_with_1001(start):
    server = start()
    with lobby(server) as ann, room(server, "tea", "bob") as bob:
        server.signal(15)
        assert ann.recv_close().code == bob.recv_close().code == 1001


def test_a_guest_who_stops_reading_disturbs_nobody(start):
    server = start("--stall-timeout", "1s", "--heartbeat", "10m")
    with room(server, "loud", "deaf", receive_buffer=4096) as deaf, \
            room(server, "loud", "ann") as ann, room(server, "loud", "bob") as bob:
        settled(server, "room:loud", 3)
        count = scaled(600, least=300)
        for n in range(count):
            ann.send(text(f"{n} " + "x" * 10_000))
            assert hears(bob).startswith(f"ann: {n} ")
        wait_until(lambda: server.metric("closed_total", reason="stalled") == 1)
        settled(server, "room:loud", 2)
        assert deaf.recv().opcode in (TEXT, CLOSE)


# ---- with a library ----

def test_a_group_chat_in_python(shared):
    """As the chat of the `websockets` tutorials does it: read a line, send it; print what comes."""
    async def guest(name, lines, expected):
        async with shared.ws(f"/rooms/chat?name={name}") as socket:
            heard = []

            async def listen():
                async for said in socket:
                    heard.append(said)
            listener = asyncio.create_task(listen())
            while shared.http.get("/channels/room:chat").json()["sessions"] < 3 and not heard:
                await asyncio.sleep(0.01)
            for line in lines:
                await socket.send(line)
            while len(heard) < expected:
                await asyncio.sleep(0.01)
            await socket.send("/exit")
            await listener  # the server closes
            assert socket.close_code == 1000
            return heard

    async def go():
        return await asyncio.gather(*(guest(name, [f"{name}-{n}" for n in range(20)], 40)
                                      for name in ("ann", "bob", "cal")))
    for name, heard in zip(("ann", "bob", "cal"), run(go())):
        for other in {"ann", "bob", "cal"} - {name}:
            own = [said for said in heard if said.startswith(other)]
            assert own == [f"{other}: {other}-{n}" for n in range(20)]
        assert len(heard) == 40


def test_a_broadcast_server_s_clients_work(shared):
    """Everyone in one set, json to all: what the Node `ws` and Flask-Sock examples do."""
    async def go():
        async with shared.ws("/ws") as one, shared.ws("/ws") as two:
            settled(shared, "lobby", 2)
            for n in range(10):
                await (one, two)[n % 2].send(json.dumps({"n": n}))
                for socket in one, two:
                    assert json.loads(await asyncio.wait_for(socket.recv(), 10)) == {"n": n}
    run(go())
