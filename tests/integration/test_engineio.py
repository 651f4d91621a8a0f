"""What the conformance suites of Engine.IO and of Socket.IO hold a server to (--dev-socketio), in our own
words; and what they leave out. At one worker, and at four, where most requests are handed over."""

import asyncio
import contextlib
import itertools
import json
import socket as sockets

import pytest
import websockets

from engineio import (PING_INTERVAL, PING_TIMEOUT, SEPARATOR, Door, as_bytes, closed, greeted, heard,
                      heard_past_pings, refusal)
from harness import DEADLINE, run, run_binary, scaled, serving, wait_until

pytestmark = pytest.mark.workers


def a_server(*args):
    @pytest.fixture(scope="module", params=[1, 4], ids=["1-worker", "4-workers"])
    def fixture(tmp_path_factory, request):
        with serving(tmp_path_factory.mktemp("engineio"), "--dev-socketio", "--workers",
                     request.param, *args) as made:
            yield made
    return fixture


server = a_server("--heartbeat", "60s")   # whose pings are in nobody's way
pinging = a_server("--heartbeat", "1s")   # and waits 20 s for an answer
suites = a_server()                       # with the times that the suites ask for


@pytest.fixture(params=["/engine.io/", "/socket.io/"])
def path(request):
    return request.param


def within(server, path, scene):
    """Plays a scene with a door."""
    async def play():
        async with Door(server, path) as door:
            await scene(door)
    run(play())


# ---- the handshake ----

KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}


def test_handshake_by_polling(suites, path):
    async def scene(door):
        answer = await door.get()
        assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
        assert answer.headers["cache-control"] == "no-store"
        greeting = json.loads(answer.text[1:])
        assert set(greeting) == KEYS
        assert greeting["upgrades"] == ["websocket"]
        assert (greeting["pingInterval"], greeting["pingTimeout"], greeting["maxPayload"]) == \
            (300, 200, 1000000)
        assert len(greeting["sid"]) == 20
    within(suites, path, scene)


def test_handshake_by_websocket(server, path):
    async def scene(door):
        async with door.ws() as socket:
            greeting = await greeted(socket)
            assert set(greeting) == KEYS
            assert greeting["upgrades"] == []
    within(server, path, scene)


@pytest.mark.parametrize("query, code, message", [
    ({"EIO": None}, 5, "Unsupported protocol version"),
    ({"EIO": "abc"}, 5, "Unsupported protocol version"),
    ({"EIO": "3"}, 5, "Unsupported protocol version"),
    ({"transport": None}, 0, "Transport unknown"),
    ({"transport": "abc"}, 0, "Transport unknown"),
    ({"transport": "websocket"}, 3, "Bad request"),
    ({"sid": "nobody"}, 1, "Session ID unknown"),
    ({"sid": "AAAAAAAAAAAAAAAAAAAA"}, 1, "Session ID unknown"),
    ({"sid": "_AAAAAAAAAAAAAAAAAAA"}, 1, "Session ID unknown"),
])
def test_handshake_is_refused(server, path, query, code, message):
    async def scene(door):
        answer = await door.get(**query)
        assert refusal(answer) == (400, code, message)
        assert answer.headers["content-type"] == "application/json"
    within(server, path, scene)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_another_method_without_a_sid_is_400(server, path, method):
    async def scene(door):
        answer = await door.http.request(method, door.target())
        assert refusal(answer) == (400, 2, "Bad handshake method")
    within(server, path, scene)


def test_another_method_with_a_sid_is_400(server, path):
    async def scene(door):
        sid = await door.open()
        assert refusal(await door.http.put(door.target(sid)))[:2] == (400, 3)
        assert (await door.http.head(door.target(sid))).status_code == 400
        await door.say(sid, "3")  # it is there as ever
    within(server, path, scene)


@pytest.mark.parametrize("query", [{"EIO": None}, {"EIO": "abc"}, {"transport": None},
                                   {"transport": "abc"}])
def test_handshake_by_websocket_is_refused(server, path, query):
    async def scene(door):
        target = door.target(**{"transport": "websocket", **query})
        with pytest.raises(websockets.InvalidStatusCode) as refused:
            await websockets.connect(door.server.ws_url(target), open_timeout=DEADLINE)
        assert refused.value.status_code == 400
    within(server, path, scene)


# ---- messages ----

@pytest.mark.parametrize("payload", [
    "4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "4", "4h\u00e9llo \ud55c\uae00"])
def test_messages_by_polling(server, payload):
    async def scene(door):
        sid = await door.open()
        answer = await door.post(sid, payload)
        assert (answer.status_code, answer.text) == (200, "ok")
        assert answer.headers["content-type"] == "text/html"
        assert (await door.get(sid)).text == payload
    within(server, "/engine.io/", scene)


def test_messages_by_websocket(server):
    async def scene(door):
        async with door.ws() as socket:
            await greeted(socket)
            await socket.send("4hello")
            assert await heard_past_pings(socket) == "4hello"
            await socket.send(b"\x01\x02\x03\x04")
            assert await heard_past_pings(socket) == b"\x01\x02\x03\x04"
            await socket.send("bAQIDBA==")  # a text that begins so is bytes, always
            assert await heard_past_pings(socket) == b"\x01\x02\x03\x04"
    within(server, "/engine.io/", scene)


def test_who_takes_no_bytes_gets_base64(server):
    async def scene(door):
        async with door.ws(b64=1) as socket:
            await greeted(socket)
            await socket.send(b"\x01\x02\x03\x04")
            assert await heard_past_pings(socket) == "bAQIDBA=="
        sid = await door.open(b64=1)
        await door.say(sid, "bAP8=")
        assert as_bytes((await door.poll_past_pings(sid, 1))[0]) == b"\x00\xff"
    within(server, "/engine.io/", scene)


def test_a_poll_waits_for_what_comes(server):
    async def scene(door):
        sid = await door.open()
        waiting = asyncio.create_task(door.poll_past_pings(sid, 1))
        await asyncio.sleep(0.05)
        await door.say(sid, "4late")
        assert await waiting == ["4late"]
    within(server, "/engine.io/", scene)


@pytest.mark.parametrize("body", ["abc", "", "7", "2", "4a\x1e", "\x1e" * 100000, "b====", "bA"])
def test_rubbish_by_polling_ends_the_session(server, path, body):
    async def scene(door):
        sid = await door.open()
        answer = await door.post(sid, body)
        if body == "2" or (body[0:2] == "4a" and path == "/socket.io/"):  # packets, yet not for us
            assert answer.status_code == 200
        else:
            assert refusal(answer)[:2] == (400, 3)
        assert refusal(await door.get(sid))[:2] == (400, 1)
    within(server, path, scene)


def test_what_is_no_text_ends_the_session(server, path):
    async def scene(door):
        sid = await door.open()
        assert refusal(await door.post(sid, b"4\xff\xfe"))[:2] == (400, 3)
        assert refusal(await door.get(sid))[:2] == (400, 1)
        sid = await door.open()
        answer = await door.post(sid, b"4hi", **{"Content-Type": "application/octet-stream"})
        assert refusal(answer)[:2] == (400, 3)
        assert refusal(await door.get(sid))[:2] == (400, 1)
    within(server, path, scene)


@pytest.mark.parametrize("text", ["abc", "", "7", "2", "b===="])
def test_rubbish_by_websocket_closes_it(server, path, text):
    async def scene(door):
        async with door.ws() as socket:
            await greeted(socket)
            await socket.send(text)
            assert await closed(socket) == 4400
    within(server, path, scene)


def test_two_polls_at_once_end_the_session(server, path):
    async def scene(door):
        sid = await door.open()
        first = asyncio.create_task(door.get(sid))
        await asyncio.sleep(0.05)
        second = await door.get(sid)
        assert second.status_code == 400
        answer = await first
        assert (answer.status_code, answer.text) == (200, "1")
        assert refusal(await door.get(sid))[:2] == (400, 1)
    within(server, path, scene)


def abandon_poll(door, sid):
    """Waits like a poll, and leaves."""
    with door.server.connect() as sock:
        sock.sendall(f"GET {door.target(sid)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def test_a_poll_that_leaves_ends_the_session(server, path):
    async def scene(door):
        sid = await door.open()
        sock = door.server.connect()
        sock.sendall(f"GET {door.target(sid)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await asyncio.sleep(0.05)
        sock.close()
        assert refusal(await door.post(sid, "3"))[:2] == (400, 1)
    within(server, path, scene)


# ---- the heartbeat ----

def test_heartbeat_by_polling(pinging, path):
    async def scene(door):
        sid = await door.open()
        for _ in range(2):
            assert await door.poll(sid) == ["2"]
            await door.say(sid, "3")
    within(pinging, path, scene)


def test_heartbeat_by_websocket(pinging, path):
    async def scene(door):
        async with door.ws() as socket:
            await greeted(socket)
            for _ in range(2):
                assert await heard(socket) == "2"
                await socket.send("3")
    within(pinging, path, scene)


def test_without_a_pong_the_session_is_gone_at_once(suites, path):
    async def scene(door):
        sid = await door.open()
        await asyncio.sleep(PING_INTERVAL + PING_TIMEOUT)
        assert refusal(await door.get(sid))[:2] == (400, 1)
    within(suites, path, scene)


def test_without_a_pong_the_websocket_is_closed(suites, path):
    async def scene(door):
        async with door.ws() as socket:
            await greeted(socket)
            assert await closed(socket) == 4408
    within(suites, path, scene)


# ---- closing ----

def test_closing_by_polling(server, path):
    async def scene(door):
        sid = await door.open()
        polled, said = await asyncio.gather(door.get(sid), door.post(sid, "1"))
        assert (said.status_code, said.text) == (200, "ok")
        assert (polled.status_code, polled.text) == (200, "6")
        assert refusal(await door.get(sid))[:2] == (400, 1)
    within(server, path, scene)


def test_closing_by_websocket(server, path):
    async def scene(door):
        async with door.ws() as socket:
            await greeted(socket)
            await socket.send("1")
            assert await closed(socket) == 1000
    within(server, path, scene)


# ---- the upgrade ----

def test_upgrade(server):
    async def scene(door):
        sid = await door.open()
        async with door.ws(sid) as socket:
            await socket.send("2probe")
            assert await heard(socket) == "3probe"
            assert await door.poll(sid) == ["6"]
            await socket.send("5")
            await socket.send("4hello")
            assert await heard_past_pings(socket) == "4hello"
    within(server, "/engine.io/", scene)


def test_upgrade_ends_a_poll_that_waits(server, path):
    async def scene(door):
        sid = await door.open()
        waiting = asyncio.create_task(door.get(sid))
        await asyncio.sleep(0.05)
        async with door.ws(sid) as socket:
            await socket.send("2probe")
            assert await heard(socket) == "3probe"
            assert (await waiting).text == "6"
    within(server, path, scene)


def test_upgrade_brings_what_waits(server):
    async def scene(door):
        sid = await door.open()
        await door.say(sid, "4one", "bAP8=")
        async with door.upgrade(sid) as socket:
            assert await heard_past_pings(socket) == "4one"
            assert await heard_past_pings(socket) == b"\x00\xff"
            await socket.send("4two")
            assert await heard_past_pings(socket) == "4two"
    within(server, "/engine.io/", scene)


def test_after_the_upgrade_polls_are_refused(server, path):
    async def scene(door):
        sid = await door.open()
        async with door.ws(sid) as socket:
            await socket.send("2probe")
            await socket.send("5")
            assert refusal(await door.get(sid))[:2] == (400, 3)
            assert refusal(await door.post(sid, "3"))[:2] == (400, 3)
            assert socket.open
    within(server, path, scene)


def test_after_the_upgrade_another_websocket_is_closed(server, path):
    async def scene(door):
        sid = await door.open()
        async with door.upgrade(sid) as socket:
            async with door.ws(sid) as other:
                assert await closed(other) == 4400
            assert socket.open
        async with door.ws("AAAAAAAAAAAAAAAAAAAA") as nobody:
            assert await closed(nobody) == 4400
    within(server, path, scene)


def test_a_probe_that_fails_leaves_the_polls(server):
    async def scene(door):
        sid = await door.open()
        async with door.ws(sid) as socket:
            await socket.send("4hello")
            assert await closed(socket) == 4400
        async with door.ws(sid) as socket:
            await socket.send("2probe")
            assert await heard(socket) == "3probe"
        await door.say(sid, "4still")
        assert "4still" in await door.poll_past_pings(sid, 1)
    within(server, "/engine.io/", scene)


# ---- pages of other origins ----

def test_a_page_may_send_credentials_and_headers_of_its_own(server, path):
    async def scene(door):
        origin = "http://localhost:8080"
        answer = await door.http.options(door.target(), headers={
            "Origin": origin, "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "my-header"})
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-allow-headers"] == "my-header"
        answer = await door.http.get(door.target(), headers={"Origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"
        sid = json.loads(answer.text[1:])["sid"]
        waiting = asyncio.create_task(door.http.get(door.target(sid), headers={"Origin": origin}))
        await asyncio.sleep(0.05)
        await door.say(sid, "40")
        answer = await waiting
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"
        answer = await door.http.get(door.target(), headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403
    within(server, path, scene)


# ---- Socket.IO ----

@contextlib.asynccontextmanager
async def joined(door):
    async with door.ws() as socket:
        await greeted(socket)
        await socket.send("40")
        answer = await heard_past_pings(socket)
        assert set(json.loads(answer[2:])) == {"sid"}
        assert await heard_past_pings(socket) == '42["auth",{}]'
        yield socket


@pytest.mark.parametrize("connect, event", [
    ("40", '42["auth",{}]'),
    ('40{"token":"123"}', '42["auth",{"token":"123"}]'),
    ("40/custom,", '42/custom,["auth",{}]'),
    ('40/custom,{"token":"abc"}', '42/custom,["auth",{"token":"abc"}]'),
])
def test_namespaces_that_are_there(server, connect, event):
    async def scene(door):
        async with door.ws() as socket:
            await greeted(socket)
            await socket.send(connect)
            answer = await heard_past_pings(socket)
            assert answer.startswith("40/custom,{" if "custom" in connect else "40{")
            assert await heard_past_pings(socket) == event
    within(server, "/socket.io/", scene)


def test_another_namespace_is_refused(server):
    async def scene(door):
        async with door.ws() as socket:
            await greeted(socket)
            await socket.send("40/random")
            assert await heard_past_pings(socket) == '44/random,{"message":"Invalid namespace"}'
    within(server, "/socket.io/", scene)


@pytest.mark.parametrize("packet", [
    "4abc", "42{}", "42[]", '42["connect"]', '42/custom,["message"]', "40", "44{}", "450-[\"a\"]",
    '451-["message",{"_placeholder":true,"num":1}]', '4511-["a"]'])
def test_what_breaks_the_protocol_closes_the_connection(server, packet):
    async def scene(door):
        async with joined(door) as socket:
            await socket.send(packet)
            assert await closed(socket) == 4400
    within(server, "/socket.io/", scene)


@pytest.mark.parametrize("packet", ['42["message"]', "41", "43[]", b"\x00"])
def test_before_connect_nothing_else_is_heard(server, packet):
    async def scene(door):
        async with door.ws() as socket:
            await greeted(socket)
            await socket.send(packet)
            assert await closed(socket) == 4400
    within(server, "/socket.io/", scene)


def test_text_in_the_middle_of_attachments_closes_the_connection(server):
    async def scene(door):
        async with joined(door) as socket:
            await socket.send('451-["message",{"_placeholder":true,"num":0}]')
            await socket.send('42["message"]')
            assert await closed(socket) == 4400
    within(server, "/socket.io/", scene)


def test_a_namespace_is_left_and_the_connection_stays(pinging):
    async def scene(door):
        async with joined(door) as socket:
            await socket.send("41")
            assert await heard(socket) == "2"
            await socket.send("3")
            await socket.send("40/custom")
            assert (await heard_past_pings(socket)).startswith("40/custom,")
    within(pinging, "/socket.io/", scene)


def test_one_namespace_is_left_and_another_is_not(server):
    async def scene(door):
        async with joined(door) as socket:
            await socket.send("40/custom")
            await heard_past_pings(socket)
            await heard_past_pings(socket)
            await socket.send("41/custom")
            await socket.send('42["message","to the other"]')
            assert await heard_past_pings(socket) == '42["message-back","to the other"]'
    within(server, "/socket.io/", scene)


def test_events_and_acknowledgements(server):
    async def scene(door):
        async with joined(door) as socket:
            await socket.send('42["message",1,"2",{"3":[true]}]')
            assert await heard_past_pings(socket) == '42["message-back",1,"2",{"3":[true]}]'
            await socket.send('42456["message-with-ack",1,"2",{"3":[false]}]')
            assert await heard_past_pings(socket) == '43456[1,"2",{"3":[false]}]'
    within(server, "/socket.io/", scene)


PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'


def test_events_and_acknowledgements_with_bytes(server):
    async def scene(door):
        async with joined(door) as socket:
            await socket.send(f'452-["message",{PLACEHOLDERS}]')
            await socket.send(b"\x01\x02\x03")
            await socket.send(b"\x04\x05\x06")
            assert await heard_past_pings(socket) == f'452-["message-back",{PLACEHOLDERS}]'
            assert await heard_past_pings(socket) == b"\x01\x02\x03"
            assert await heard_past_pings(socket) == b"\x04\x05\x06"
            await socket.send(f'452-789["message-with-ack",{PLACEHOLDERS}]')
            await socket.send(b"\x01\x02\x03")
            await socket.send(b"\x04\x05\x06")
            assert await heard_past_pings(socket) == f"462-789[{PLACEHOLDERS}]"
            assert await heard_past_pings(socket) == b"\x01\x02\x03"
            assert await heard_past_pings(socket) == b"\x04\x05\x06"
    within(server, "/socket.io/", scene)


def test_events_by_polling(server):
    async def scene(door):
        sid = await door.open()
        await door.say(sid, "40")
        hello, auth = await door.poll_past_pings(sid, 2)
        assert hello.startswith('40{"sid":') and auth == '42["auth",{}]'
        await door.say(sid, '451-["message",{"_placeholder":true,"num":0}]', "bAQID")
        assert await door.poll_past_pings(sid, 2) == \
            ['451-["message-back",{"_placeholder":true,"num":0}]', "bAQID"]
    within(server, "/socket.io/", scene)


# ---- storms ----

def test_many_sessions_over_all_workers(server):
    """Each request comes by a connection of its own, so that at four workers most are handed over."""
    async def one(door, number):
        sid = await door.open()
        for i in range(3):
            await door.say(sid, f"4{number}-{i}")
            assert await door.poll_past_pings(sid, 1) == [f"4{number}-{i}"]
        if number % 2:
            async with door.upgrade(sid) as socket:
                await socket.send("4up")
                assert await heard_past_pings(socket) == "4up"
        else:
            await door.say(sid, "1")

    async def scene(door):
        for start in range(0, scaled(60), 20):
            await asyncio.gather(*(one(door, start + i) for i in range(20)))
    within(server, "/engine.io/", scene)


def test_polls_that_leave_in_storms(server):
    """Sockets that close while they are handed over; afterwards everything is back."""
    async def scene(door):
        before = open_fds(server)
        for round in range(scaled(10)):
            sids = await asyncio.gather(*(door.open() for _ in range(20)))
            polls = [asyncio.get_running_loop().run_in_executor(None, abandon_poll, door, sid)
                     for sid in sids]
            answers = await asyncio.gather(*(door.post(sid, "4x") for sid in sids))
            await asyncio.gather(*polls)
            assert {answer.status_code for answer in answers} <= {200, 400}
        await door.http.aclose()
        wait_until(lambda: open_fds(server) <= before + 5, what="the descriptors to be given back")
    within(server, "/engine.io/", scene)


def open_fds(server):
    return server.metric("open_fds")


def test_requests_are_handed_over_where_there_are_several_workers(server):
    async def scene(door):
        for _ in range(10):
            sid = await door.open()
            await door.say(sid, "4x")
            await door.poll(sid)
            async with door.upgrade(sid) as socket:
                socket.transport.abort()
            await door.http.aclose()
            door.http = Door(server).http  # a new connection, which another worker may take
    within(server, "/engine.io/", scene)
    arguments = server.process.args
    several = arguments[arguments.index("--workers") + 1] != "1"
    handed = sum(server.metric("handed_over_total", what=what)
                 for what in ("poll", "post", "websocket"))
    assert (handed > 0) == several


def test_half_a_post_harms_nobody(server):
    async def scene(door):
        sid = await door.open()
        with door.server.connect() as sock:
            sock.sendall(f"POST {door.target(sid)} HTTP/1.1\r\nHost: localhost\r\n"
                         "Content-Length: 100\r\n\r\n4half".encode())
            sock.shutdown(sockets.SHUT_WR)
        await door.say(sid, "4whole")
        assert "4whole" in await door.poll_past_pings(sid, 1)
    within(server, "/engine.io/", scene)


# ---- stopping ----

def waiting(server, count):
    """Says whether so many polls more wait: as requests they are over then. It counts its own."""
    asked = itertools.count(1)
    before = server.metric("http_requests_total")
    return lambda: server.metric("http_requests_total") >= before + next(asked) + count


@pytest.mark.parametrize("workers", [1, 4])
def test_stopping_sends_everybody_away(start, workers):
    server = start("--dev-socketio", "--workers", workers, "--heartbeat", "60s")

    async def play():
        async with Door(server, "/engine.io/") as door:
            sids = [await door.open() for _ in range(8)]
            sockets_ = [await door.ws() for _ in range(8)]
            for socket in sockets_:
                await greeted(socket)
            waits = waiting(server, len(sids))
            polls = [asyncio.create_task(door.get(sid)) for sid in sids]
            await asyncio.to_thread(wait_until, waits, what="them to wait")
            server.signal(15)
            for poll in polls:
                assert (await poll).text == "1"
            for socket in sockets_:
                assert await closed(socket) == 1001
    run(play())
    server.stop()


def test_dev_socketio_is_for_loopback_only(tmp_path):
    done = run_binary("--listen", "0.0.0.0:0", "--dev-socketio", "--insecure-open", cwd=tmp_path)
    assert done.returncode == 1
    assert "dev_socketio" in done.stderr
