"""Frames as the standard demands them, and what each wrong one gets (RFC 6455 sections 5 to 7)."""

import struct
import threading
import time

import pytest

import frames
from frames import BINARY, CLOSE, CONTINUE, PING, PONG, TEXT, Client, Frame, close, frame, text
from harness import wait_until
from witness import Growth

PING_JSON = '{"type":"ping"}'
JSON = "/ws/ann?format=json"


def json_client(server, path=JSON, **options):
    client = Client(server.port, path, **options)
    assert client.recv().json["type"] == "welcome"
    return client


def answered(client):
    """Skips to the answer of an application ping."""
    client.send(text(PING_JSON))
    while True:
        got = client.recv_json()
        if got == {"type": "pong"}:
            return True
        assert got["type"] in ("error", "message"), got


def header_only(opcode, size, **bits):
    """A header that announces `size` bytes, of which one comes."""
    return frames.header(opcode, size, **bits) + b"x"


# ---- what the standard forbids: each closes with its code, whatever the session's form ----

WRONG = {
    "unmasked text": (frame(TEXT, "hi", mask=None), 1002),
    "unmasked empty text": (frame(TEXT, "", mask=None), 1002),
    "unmasked ping": (frame(PING, "hi", mask=None), 1002),
    "unmasked close": (frame(CLOSE, b"\x03\xe8", mask=None), 1002),
    "RSV1": (text("hi", rsv=4), 1002),
    "RSV2": (text("hi", rsv=2), 1002),
    "RSV3": (text("hi", rsv=1), 1002),
    "all reserved bits": (text("hi", rsv=7), 1002),
    "RSV1 on a ping": (frame(PING, "hi", rsv=4), 1002),
    "RSV1 on a close": (frame(CLOSE, b"\x03\xe8", rsv=4), 1002),
    "RSV1 on a continuation": (text("a", fin=False) + frame(CONTINUE, "b", rsv=4), 1002),
    "continuation of nothing": (frame(CONTINUE, "hi"), 1002),
    "open continuation of nothing": (frame(CONTINUE, "hi", fin=False), 1002),
    "text within a message": (text("a", fin=False) + text("b"), 1002),
    "binary within a message": (text("a", fin=False) + frame(BINARY, "b", fin=False), 1002),
    "continuation after the end": (
        text("a", fin=False) + frame(CONTINUE, "b") + frame(CONTINUE, "c"), 1002),
    "fragmented ping": (frame(PING, "hi", fin=False), 1002),
    "fragmented pong": (frame(PONG, "hi", fin=False), 1002),
    "fragmented close": (frame(CLOSE, b"\x03\xe8", fin=False), 1002),
    "ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "pong of 126 bytes": (frame(PONG, b"x" * 126), 1002),
    "close of 126 bytes": (close(1000, b"x" * 124), 1002),
    "ping of 64 KiB": (header_only(PING, 65536), 1002),
    "ping of 5 bytes in the 16-bit form": (frame(PING, b"hello", form=126), 1002),
    "text of 5 bytes in the 16-bit form": (text("hello", form=126), 1002),
    "text of 125 bytes in the 16-bit form": (text("x" * 125, form=126), 1002),
    "text of 5 bytes in the 64-bit form": (text("hello", form=127), 1002),
    "text of 65535 bytes in the 64-bit form": (header_only(TEXT, 65535, form=127), 1002),
    "2^63 bytes": (header_only(TEXT, 1 << 63), 1002),
    "2^64 - 1 bytes": (header_only(BINARY, (1 << 64) - 1), 1002),
    "close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "invalid UTF-8": (text(b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"), 1007),
    "a lone continuation byte": (text(b"\x80"), 1007),
    "overlong UTF-8": (text(b"\xc0\xaf"), 1007),
    "above U+10FFFF": (text(b"\xf4\x90\x80\x80"), 1007),
    "a character cut off": (text(b"ok \xe2\x82"), 1007),
    "bad UTF-8 in the last fragment": (
        text("a", fin=False) + frame(CONTINUE, "b", fin=False) + frame(CONTINUE, b"\xff"), 1007),
    "bad UTF-8 across fragments": (
        text(b"\xe2\x82", fin=False) + frame(CONTINUE, b"\xc3\xac"), 1007),
    "a character cut off by the last fragment": (
        text(b"\xe2", fin=False) + frame(CONTINUE, b"\x82"), 1007),
    "bad UTF-8 seen before the message ends": (text(b"\xff", fin=False), 1007),
    "bad UTF-8 in a close": (close(1000, b"\xce\xba\xed\xa0\x80"), 1007),
    "a reason cut off": (close(1000, b"\xe2\x82"), 1007),
    "64 KiB and a byte": (text("x" * 65537), 1009),
    "64 KiB and a byte, header only": (header_only(TEXT, 65537), 1009),
    "1 GiB, header only": (header_only(BINARY, 1 << 30), 1009),
    "2^63 - 1 bytes, header only": (header_only(TEXT, (1 << 63) - 1), 1009),
    "64 KiB and a byte in fragments": (
        text("x" * 65536, fin=False) + frame(CONTINUE, "x"), 1009),
    "129 fragments": (text("", fin=False) + frame(CONTINUE, "", fin=False) * 127
                      + frame(CONTINUE, ""), 1008),
    "endless empty fragments": (text("", fin=False) + frame(CONTINUE, "", fin=False) * 1000, 1008),
}
WRONG.update({f"opcode {n}": (frame(n, "hi"), 1002) for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)})
WRONG.update({f"close code {code}": (close(code), 1002) for code in (
    0, 1, 999, 1004, 1005, 1006, 1012, 1013, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65535)})

@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_frame_closes_with_its_code(shared, name, form):
    data, code = WRONG[name]
    with Client(shared.port, f"/ws/ann?format={form}") as client:
        client.send(data)
        client.expect_close(code)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_frame_in_single_bytes_closes_with_the_same_code(shared, name):
    data, code = WRONG[name]
    if len(data) > 3000:
        data = data[:-1]  # long ones: the end alone is chopped
    with Client(shared.port, "/ws/ann") as client:
        try:
            client.send(data[:-300])
            client.send_chopped(WRONG[name][0][max(0, len(data[:-300])):])
        except ConnectionError:
            pass  # it was closed by an earlier byte
        client.expect_close(code)


def test_json_sessions_hear_bye_before_a_close(shared):
    with json_client(shared) as client:
        client.send(frame(3))
        bye = client.recv().json
        assert (bye["type"], bye["code"]) == ("bye", "protocol")
        assert 0 <= bye["retry_ms"] <= 5000
        assert client.recv().code == 1002


def test_what_follows_a_wrong_frame_is_not_served(shared):
    with json_client(shared) as client:
        client.send(frame(3) + text(PING_JSON) * 10)
        assert client.recv().json["type"] == "bye"
        assert client.recv().code == 1002
        client.send(text(PING_JSON))
        client.shutdown()
        client.recv_end()


def test_a_huge_length_takes_no_memory(start):
    server = start("--max-sessions-per-user", "10000")
    with Growth(server, 200 << 20, "VmPeak"), Growth(server, 10 << 20):
        clients = [Client(server.port, "/ws/ann") for _ in range(50)]
        for client in clients:
            client.send(header_only(BINARY, 1 << 30))  # 15 bytes
        for client in clients:
            client.expect_close(1009)


# ---- lengths and cuts ----

@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_messages_of_all_lengths_are_taken(shared, size, opcode):
    with json_client(shared) as client:
        client.send(frame(opcode, b"x" * size))
        got = client.recv_json()
        assert got["type"] == "error"
        assert got["code"] == ("bad_json" if opcode == TEXT else "bad_frame")
        assert answered(client)


def test_the_limits_are_the_configured_ones(start):
    server = start("--ws-max-message", "1KiB", "--ws-max-fragments", "3")
    with json_client(server) as client:
        client.send(text(" " * 1009 + PING_JSON))
        assert client.recv_json() == {"type": "pong"}
        client.send(text(PING_JSON[:5], fin=False) + frame(CONTINUE, PING_JSON[5:9], fin=False)
                    + frame(CONTINUE, PING_JSON[9:]))
        assert client.recv_json() == {"type": "pong"}
        client.send(text(" " * 1010 + PING_JSON))
        client.expect_close(1009)
    with json_client(server) as client:
        client.send(text("a", fin=False) + frame(CONTINUE, "", fin=False) * 3)
        client.expect_close(1008)
    assert server.metric("closed_total", reason="frame_too_large") == 1
    assert server.metric("closed_total", reason="too_many_fragments") == 1


CONVERSATION = [
    text(PING_JSON),
    frame(PING, b"one"),
    text('{"type"', fin=False),
    frame(PING, b"two"),
    frame(CONTINUE, b"", fin=False),
    frame(PONG, b"unasked"),
    frame(CONTINUE, ':"ping"}'),
    text(" " * 200 + PING_JSON),
    text("{"),
    frame(PING, b"three"),
]
REPLIES = ["pong", b"one", b"two", "pong", "pong", "error", b"three"]


def replies(client, count=len(REPLIES)):
    """What the conversation gets: types of frames, and payloads of protocol pongs."""
    got = []
    for _ in range(count):
        reply = client.recv()
        got.append(reply.payload if reply.opcode == PONG else reply.json["type"])
    return got


def test_a_conversation_cut_at_every_byte_goes_the_same(shared):
    whole = b"".join(CONVERSATION)
    with json_client(shared) as client:
        client.send(whole)
        assert replies(client) == REPLIES
        for cut in range(1, len(whole)):
            client.send(whole[:cut])
            client.send(whole[cut:])
            assert replies(client) == REPLIES


def test_a_conversation_in_pieces_of_any_size_goes_the_same(shared):
    whole = b"".join(CONVERSATION)
    with json_client(shared) as client:
        for size in range(1, 24):
            client.send_chopped(whole, size)
            assert replies(client) == REPLIES


def test_each_frame_cut_at_each_byte_goes_the_same(shared):
    with json_client(shared) as client:
        for cut in range(1, max(map(len, CONVERSATION))):
            for part in CONVERSATION:
                if cut < len(part):
                    client.send(part[:cut])
                    client.send(part[cut:])
                else:
                    client.send(part)
            assert replies(client) == REPLIES


def test_many_in_the_middle_of_a_message_do_not_mix(start):
    """The parser of those between messages is shared; who is in the middle of one has an own."""
    server = start()
    clients = [json_client(server, f"/ws/user{n}?format=json") for n in range(30)]
    parts = [frame(TEXT, " " * 5, fin=False), frame(CONTINUE, '{"type":', fin=False)[:9],
             frame(CONTINUE, '{"type":', fin=False)[9:], frame(CONTINUE, '"pi', fin=False),
             frame(PING, b"x") + frame(CONTINUE, 'ng"}')[:3], frame(CONTINUE, 'ng"}')[3:]]
    for part in parts:
        for client in clients:
            client.send(part)
    for client in clients:
        assert client.recv() == Frame(PONG, b"x")
        assert client.recv_json() == {"type": "pong"}
        client.socket.close()


# ---- pings ----

@pytest.mark.parametrize("payload", [b"", b"x", b"\x00\xff\xfe", b"y" * 125])
def test_a_ping_gets_its_own_bytes_back(shared, payload):
    with Client(shared.port, "/ws/ann") as client:
        client.send(frame(PING, payload))
        assert client.recv() == Frame(PONG, payload)


def test_pings_within_a_fragmented_message_are_answered_at_once_and_in_order(shared):
    with json_client(shared) as client:
        client.send(text('{"type":', fin=False))
        for n in range(20):
            client.send(frame(PING, b"%d" % n) + frame(CONTINUE, b"", fin=False))
            assert client.recv() == Frame(PONG, b"%d" % n)
        client.send(frame(CONTINUE, '"ping"}'))
        assert client.recv_json() == {"type": "pong"}


def test_a_thousand_pings_at_once_are_answered_in_order(shared):
    with Client(shared.port, "/ws/ann") as client:
        client.send(b"".join(frame(PING, b"%d" % n) for n in range(1000)))
        for n in range(1000):
            assert client.recv() == Frame(PONG, b"%d" % n)


def test_pongs_that_nobody_asked_for_are_ignored(shared):
    with json_client(shared) as client:
        client.send(frame(PONG, b"a") + frame(PONG) + frame(PONG, b"x" * 125))
        assert answered(client)


@pytest.mark.parametrize("payload", [b"", b"x" * 100])
def test_pings_of_a_client_that_never_reads_take_no_memory(start, payload):
    server = start()
    pings = frame(PING, payload) * 1000
    with Client(server.port, "/ws/ann", receive_buffer=4096) as client:
        client.alive()
        client.socket.settimeout(1)
        sent = 0
        with Growth(server, 2 << 20):
            try:
                while sent < 3000:  # thousands of pings
                    client.send(pings)
                    sent += 1
            except TimeoutError:
                pass  # the server has stopped listening to it
        assert sent >= 100 or payload
        assert server.http.get("/healthz").status_code == 200


def test_a_client_that_reads_late_gets_every_answer(shared):
    """The server stops listening to who does not read, and goes on where it stopped."""
    with Client(shared.port, "/ws/ann", receive_buffer=4096, timeout=60) as client:
        count = 40000
        sender = threading.Thread(
            target=client.send,
            args=(b"".join(frame(PING, b"%0100d" % n) for n in range(count)),))
        sender.start()
        sender.join(1.0)
        for n in range(count):
            assert client.recv() == Frame(PONG, b"%0100d" % n)
        sender.join()


# ---- what clients say ----

JUNK = ["", " ", "hello", "{", "[", "nul", "{}{}", '{"type":"ping"} x', '{"type":1}', "[]", "1",
        '"ping"', "null", "{}", '{"type":""}', '{"type":"Ping"}', '{"type":"message"}',
        '{"type":"ping","type":"ping"}', "[" * 3000, '{"a":' * 3000, '{"type":"\\u0000"}',
        '{"type":"ping\\u0000"}', "\ufeff" + PING_JSON, "{'type':'ping'}", '"\\ud800"', "1e999"]


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk[:20]))
def test_junk_gets_an_error_frame_and_the_session_lives(shared, junk):
    with json_client(shared) as client:
        client.send(text(junk))
        got = client.recv_json()
        assert got["type"] == "error"
        assert got["code"] in ("bad_json", "bad_frame")
        assert got["detail"]
        assert answered(client)


def test_an_error_names_the_ref_of_its_frame(shared):
    with json_client(shared) as client:
        client.send(text('{"type":"dance","ref":"r\\"1"}'))
        assert client.recv_json()["ref"] == 'r"1'
        client.send(text('{"type":"dance","ref":"%s"}' % ("\\u0001" * 128)))
        assert client.recv_json()["ref"] == "\x01" * 128
        client.send(text('{"type":"dance","ref":["not","a","string"]}'))
        assert "ref" not in client.recv_json()


def test_binary_gets_an_error_frame_in_a_json_session(shared):
    with json_client(shared) as client:
        client.send(frame(BINARY, PING_JSON))
        got = client.recv_json()
        assert (got["type"], got["code"]) == ("error", "bad_frame")
        assert answered(client)


def test_a_text_session_ignores_what_its_client_sends(shared):
    with Client(shared.port, "/ws/ann?format=text") as client:
        for junk in JUNK + [PING_JSON, "/exit", "x" * 65536]:
            client.send(text(junk))
        client.send(frame(BINARY, bytes(range(256))) + frame(BINARY))
        client.send(frame(PING, b"only this"))
        assert client.recv() == Frame(PONG, b"only this")


# ---- closing ----

@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999,
                                  4000, 4999])
def test_a_close_is_answered_with_its_own_code(shared, code):
    with Client(shared.port, "/ws/ann") as client:
        client.send(close(code, b"bye"))
        got = client.recv()
        assert (got.opcode, got.code) == (CLOSE, code)
        client.recv_end()  # the server ends TCP, section 7.1.1


def test_a_close_without_a_code_is_answered_without_one(shared):
    with Client(shared.port, "/ws/ann") as client:
        client.send(close())
        assert client.recv() == Frame(CLOSE, b"")
        client.recv_end()


def test_a_close_ends_json_sessions_without_bye(shared):
    with json_client(shared) as client:
        client.send(close(1000))
        assert client.recv() == Frame(CLOSE, b"\x03\xe8")
        client.recv_end()


REASON = "가나다 — ok".encode()


@pytest.mark.parametrize("cut", range(1, len(close(1000, REASON))))
def test_a_reason_in_two_reads_is_judged_as_a_whole(shared, cut):
    good, bad = close(1000, REASON), close(1000, REASON[:-5] + b"\xed\xa0\x80ok")
    for data, code in (good, 1000), (bad, 1007):
        with Client(shared.port, "/ws/ann") as client:
            client.send(data[:cut])
            client.send(data[cut:])
            got = client.recv()
            assert (got.opcode, got.code) == (CLOSE, code)


@pytest.mark.parametrize("after_close", [
    text(PING_JSON), frame(PING, b"x"), frame(3), frame(TEXT, "hi", mask=None), close(1001),
    text(b"\xff"), b"\x81", b"junk" * 1000,
])
def test_nothing_after_a_close_is_looked_at(shared, after_close):
    with json_client(shared) as client:
        client.send(close(1000) + after_close)
        assert client.recv() == Frame(CLOSE, b"\x03\xe8")
        client.recv_end()


def test_a_close_in_the_middle_of_a_message_is_answered(shared):
    with Client(shared.port, "/ws/ann") as client:
        client.send(text("half", fin=False) + close(4321))
        assert client.recv() == Frame(CLOSE, struct.pack(">H", 4321))
        client.recv_end()


def test_answers_that_wait_go_out_before_the_close(shared):
    with json_client(shared) as client:
        client.send(text(PING_JSON) * 100 + close(1000))
        for _ in range(100):
            assert client.recv().json == {"type": "pong"}
        assert client.recv() == Frame(CLOSE, b"\x03\xe8")


def test_a_client_that_does_not_answer_a_close_is_left_after_a_while(start):
    server = start()
    with Client(server.port, "/ws/ann") as client:
        server.http.delete("/users/ann/sessions")
        assert client.recv().code == 4403
        client.socket.settimeout(10)
        client.recv_end()  # by the server's own deadline


def test_the_server_hears_the_answer_to_its_close_behind_other_frames(start):
    server = start()
    with json_client(server) as client:
        server.http.delete("/users/ann/sessions")
        assert client.recv().json["code"] == "kicked"
        assert client.recv().code == 4403
        client.send(text(PING_JSON) + frame(PING) + text("x", fin=False) + close(4403))
        assert client.recv() == Frame(PONG, b"")  # section 5.5.2 wants it until their Close comes
        client.recv_end()


# ---- disconnects ----

def sessions(server):
    return server.http.get("/users/ann").json()["sessions"]


@pytest.mark.parametrize("how", ["fin", "reset", "half a frame", "half a message", "close"])
def test_a_client_that_goes_is_noticed(start, how):
    server = start()
    client = json_client(server)
    assert len(sessions(server)) == 1
    if how == "fin":
        client.shutdown()
    elif how == "reset":
        client.abort()
    elif how == "half a frame":
        client.send(text(PING_JSON)[:5])
        client.socket.close()
    elif how == "half a message":
        client.send(text("a", fin=False))
        client.abort()
    else:
        client.send(close())
        assert client.recv().opcode == CLOSE
        client.socket.close()
    wait_until(lambda: not sessions(server), 3)
    assert server.send("ann")["delivered"] == 0
    reason = "peer_closed" if how == "close" else "connection_lost"
    assert server.metric("closed_total", reason=reason) == 1
    wait_until(lambda: server.metric("sessions") == 0, 3)


def test_a_thousand_that_go_leave_nothing_behind(start):
    server = start()
    fds = server.metric("open_fds")
    for _ in range(10):
        clients = [Client(server.port, f"/ws/user{n}") for n in range(100)]
        for n, client in enumerate(clients):
            client.abort() if n % 2 else client.socket.close()
    wait_until(lambda: server.metric("open_fds") <= fds + 1, 5)
    assert server.http.get("/users?online=true").json()["users"] == []


# ---- heartbeat ----

def test_pings_come_every_heartbeat_and_who_answers_lives(start):
    server = start("--heartbeat", "1s")
    with json_client(server) as client, Client(server.port, "/ws/bea?format=json") as other:
        assert other.recv().json["heartbeat"] == 1
        for _ in range(5):
            ping = client.recv()
            assert ping.opcode == PING
            client.send(frame(PONG, ping.payload))
        assert answered(client)


def test_who_answers_no_ping_is_closed(start):
    server = start("--heartbeat", "1s")
    with json_client(server) as client:
        began = time.monotonic()
        bye = None
        while (got := client.recv()).opcode != CLOSE:
            bye = got.json if got.opcode == TEXT else bye
        took = time.monotonic() - began
        assert got.code == 4408 and bye["code"] == "no_heartbeat"
        assert 2 <= took + 0.3 and took < 4.3
    assert server.metric("closed_total", reason="no_heartbeat") == 1


def test_anything_that_comes_counts_as_a_sign_of_life(start):
    server = start("--heartbeat", "1s")
    with json_client(server) as client:
        end = time.monotonic() + 4.5
        while time.monotonic() < end:
            client.send(text(PING_JSON))
            assert client.recv().opcode in (TEXT, PING)
            time.sleep(0.3)
        while (got := client.recv()).opcode == PING:
            pass
        assert got.opcode == TEXT and got.json["type"] in ("pong", "bye")
