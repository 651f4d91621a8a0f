"""A conformance suite of our own: what the groups of the Autobahn suite ask of an echo server,
as tables. It runs against /ws-echo, which is made of the same frame code as all sessions."""

import random
import threading

import pytest

import frames
from frames import BINARY, CLOSE, CONTINUE, PING, PONG, TEXT, Client, Ended, Frame, close, frame
from harness import scaled, serving
from witness import Growth


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("echo"), "--dev-echo") as made:
        yield made


def fragments(opcode, payload, size):
    """The message in frames of `size` bytes each."""
    parts = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    return b"".join(
        frame(opcode if n == 0 else CONTINUE, part, fin=n == len(parts) - 1)
        for n, part in enumerate(parts))


def cut(*names):
    """The ways a case's bytes are brought to the server."""
    ways = {"whole": 1 << 30, "in bytes": 1, "in 7s": 7, "in 997s": 997}
    return pytest.mark.parametrize("size", [ways[name] for name in names], ids=names)


def converse(server, data, expected, size=1 << 30):
    """Sends the bytes and expects exactly these frames; an int is the code the server closes with,
    None a Close without a code."""
    with Client(server.port) as client:
        try:
            client.send_chopped(data, size)
        except ConnectionError:
            assert any(not isinstance(e, Frame) for e in expected)
        for want in expected:
            if isinstance(want, Frame):
                assert client.recv() == want
            else:
                got = client.recv()
                assert (got.opcode, got.code) == (CLOSE, want)
                client.shutdown()
                client.recv_end()
                return
        client.alive()


# ---- 1 framing ----

SIZES = [0, 1, 125, 126, 127, 128, 65535, 65536]


@pytest.mark.parametrize("opcode,fill", [(TEXT, b"*"), (BINARY, b"\xfe")])
@pytest.mark.parametrize("length", SIZES)
@cut("whole", "in 997s")
def test_1_a_message_comes_back_as_it_was(echo, opcode, fill, length, size):
    payload = fill * length
    converse(echo, frame(opcode, payload), [Frame(opcode, payload)], size)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("length", [n for n in SIZES if n < 200])
def test_1_a_message_in_single_bytes_comes_back(echo, opcode, length):
    converse(echo, frame(opcode, b"*" * length), [Frame(opcode, b"*" * length)], 1)


# ---- 2 pings ----

PINGS = {
    "empty": (frame(PING), [Frame(PONG, b"")]),
    "text": (frame(PING, b"Hello, world!"), [Frame(PONG, b"Hello, world!")]),
    "binary": (frame(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
               [Frame(PONG, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")]),
    "125 bytes": (frame(PING, b"\xfe" * 125), [Frame(PONG, b"\xfe" * 125)]),
    "126 bytes": (frame(PING, b"\xfe" * 126), [1002]),
    "unasked pong": (frame(PONG), []),
    "unasked pong with payload": (frame(PONG, b"unasked"), []),
    "unasked pong, then ping": (frame(PONG, b"unasked") + frame(PING, b"ping"),
                                [Frame(PONG, b"ping")]),
    "ten": (b"".join(frame(PING, b"%d" % n) for n in range(10)),
            [Frame(PONG, b"%d" % n) for n in range(10)]),
}


@pytest.mark.parametrize("name", PINGS)
@cut("whole", "in bytes")
def test_2_pings_are_answered_and_pongs_are_not(echo, name, size):
    converse(echo, *PINGS[name], size)


# ---- 3 reserved bits, 4 reserved opcodes ----

HELLO = frame(TEXT, "Hello")
HELLO_BACK = Frame(TEXT, b"Hello")


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
@cut("whole", "in bytes")
def test_3_reserved_bits_fail_the_connection(echo, rsv, opcode, size):
    payload = b"\x03\xe8" if opcode == CLOSE else b"x"
    converse(echo, HELLO + frame(opcode, payload, rsv=rsv) + frame(PING), [HELLO_BACK, 1002], size)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"reserved"])
@cut("whole", "in bytes")
def test_4_reserved_opcodes_fail_the_connection(echo, opcode, payload, size):
    converse(echo, HELLO + frame(opcode, payload) + frame(PING), [HELLO_BACK, 1002], size)


# ---- 5 fragmentation ----

def start(payload, opcode=TEXT):
    return frame(opcode, payload, fin=False)


def more(payload=b""):
    return frame(CONTINUE, payload, fin=False)


def last(payload=b""):
    return frame(CONTINUE, payload)


AB = Frame(TEXT, b"ab")
FRAGMENTED = {
    "ping in two": (frame(PING, b"a", fin=False) + last(b"b"), [1002]),
    "pong in two": (frame(PONG, b"a", fin=False) + last(b"b"), [1002]),
    "text in two": (start(b"a") + last(b"b"), [AB]),
    "binary in two": (start(b"\xff", BINARY) + last(b"\xfe"), [Frame(BINARY, b"\xff\xfe")]),
    "ping between": (start(b"a") + frame(PING, b"p") + last(b"b"), [Frame(PONG, b"p"), AB]),
    "pings between": (
        start(b"a") + frame(PING, b"1") + more(b"b") + frame(PING, b"2") + last(b"c"),
        [Frame(PONG, b"1"), Frame(PONG, b"2"), Frame(TEXT, b"abc")]),
    "pong between": (start(b"a") + frame(PONG, b"p") + last(b"b"), [AB]),
    "continuation, final, of nothing": (last(b"x") + HELLO, [1002]),
    "continuation of nothing": (more(b"x") + HELLO, [1002]),
    "continuation after a message": (HELLO + more(b"x"), [HELLO_BACK, 1002]),
    "continuation after a fragmented message": (
        start(b"a") + last(b"b") + last(b"c"), [AB, 1002]),
    "a second start": (start(b"a") + HELLO, [1002]),
    "a second start, open": (start(b"a") + start(b"b"), [1002]),
    "empty fragments": (start(b"") + more() + last(), [Frame(TEXT, b"")]),
    "empty fragments around": (start(b"") + more(b"ab") + last(), [AB]),
    "an empty end": (start(b"ab") + last(), [AB]),
    "two messages": (start(b"a") + last(b"b") + start(b"a") + last(b"b"), [AB, AB]),
    "close between": (start(b"a") + close(1000) + last(b"b"), [1000]),
    "data between messages": (start(b"a") + last(b"b") + HELLO, [AB, HELLO_BACK]),
}


@pytest.mark.parametrize("name", FRAGMENTED)
@cut("whole", "in bytes")
def test_5_fragments_make_messages(echo, name, size):
    converse(echo, *FRAGMENTED[name], size)


# ---- 6 UTF-8 ----

GOOD = [
    "", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "가나다", "🦊",
    "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufdd0", "\ufffd",
    "\ufffe", "\uffff", "\U00010000", "\U0001fffe", "\U0010fffe", "\U0010ffff", "\ufeff",
]
BAD = [
    b"\x80", b"\xbf", b"\x80\xbf\x80", bytes(range(0x80, 0xC0)), b"\xc0\xaf", b"\xc1\xbf",
    b"\xc3", b"\xc3 ", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xe2\x82", b"\xe2\x82 ", b"\xe2\x28\xa1",
    b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xef\xbf", b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x8d", b"\xf0\x28\x8c\xbc", b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xf8\x88\x80\x80\x80", b"\xfb\xbf\xbf\xbf\xbf",
    b"\xfc\x84\x80\x80\x80\x80", b"\xfd\xbf\xbf\xbf\xbf\xbf", b"\xfe", b"\xff", b"\xfe\xfe\xff\xff",
]


@pytest.mark.parametrize("payload", [text.encode() for text in GOOD], ids=repr)
def test_6_good_utf_8_comes_back_however_it_is_cut(echo, payload):
    padded = b"a" + payload + b"z"
    for part in payload, padded:
        for size in range(1, max(2, min(len(part), 12) + 1)):
            converse(echo, fragments(TEXT, part, size), [Frame(TEXT, part)])


@pytest.mark.parametrize("payload", BAD, ids=repr)
def test_6_bad_utf_8_fails_however_it_is_cut(echo, payload):
    for part in payload, b"ok \xe2\x82\xac " + payload + b" more", b"x" * 200 + payload:
        for size in (1, 2, 3, 1 << 20):
            converse(echo, fragments(TEXT, part, size), [1007])
        converse(echo, frame(TEXT, part), [1007], 1)


def test_6_the_same_bytes_are_good_as_binary(echo):
    payload = b" ".join(BAD)
    converse(echo, frame(BINARY, payload), [Frame(BINARY, payload)])


@pytest.mark.parametrize("head,bad", [
    ("κόσμε".encode(), b"\xf4\x90\x80\x80"), (b"", b"\xff"), (b"x" * 300, b"\xed\xa0"),
])
def test_6_bad_utf_8_fails_before_its_message_ends(echo, head, bad):
    """At the end of the fragment with the bad byte, and within a frame whose end never comes."""
    converse(echo, start(head) + more(bad), [1007])
    whole = frame(TEXT, head + bad + b"y" * 10000)
    with Client(echo.port) as client:
        client.send(whole[:-5000])
        client.expect_close(1007)


def test_6_bad_utf_8_fails_at_the_byte(echo):
    """No later than the read that brings it."""
    good = "κόσμε".encode() + b"\xf4"  # four bytes from U+100000 begin so, too
    data = frame(TEXT, good + b"\x90\x80\x80edited")
    at = 6 + len(good)
    with Client(echo.port) as client:
        client.send(data[:at])
        assert client.quiet(0.2)
        client.send(data[at : at + 1])
        client.expect_close(1007)


# ---- 7 closing ----

CLOSES = {
    "before a message": (close(1000) + HELLO, [1000]),
    "twice": (close(1000) + close(1001), [1000]),
    "before a ping": (close(1000) + frame(PING), [1000]),
    "within a message": (start(b"a") + close(1000) + last(b"b"), [1000]),
    "after a long message": (
        frame(TEXT, b"x" * 200000) + close(1000), [Frame(TEXT, b"x" * 200000), 1000]),
    "empty": (close(), [None]),
    "one byte": (frame(CLOSE, b"a"), [1002]),
    "reason": (close(1000, b"Hello World!"), [1000]),
    "reason of 123 bytes": (close(1000, b"*" * 123), [1000]),
    "reason of 124 bytes": (close(1000, b"*" * 124), [1002]),
    "reason that is no UTF-8": (close(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited"), [1007]),
}
CLOSES.update({f"code {code}": (close(code), [code]) for code in (
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)})
CLOSES.update({f"code {code}": (close(code), [1002]) for code in (
    0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535)})


@pytest.mark.parametrize("name", CLOSES)
@cut("whole", "in 7s")
def test_7_closes_are_answered(echo, name, size):
    converse(echo, *CLOSES[name], size)


# ---- 9 limits ----

@pytest.mark.parametrize("kib", [64, 256, 1024, 4096, 16384])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_9_long_messages_come_back(echo, kib, opcode):
    payload = (b"0123456789abcdef" * 64) * scaled(kib, least=64)
    with Client(echo.port, timeout=60) as client:
        in_background(client, frame(opcode, payload), lambda: client.recv() == Frame(opcode, payload))


def in_background(client, data, receive):
    """Sends while it receives: neither end could buffer it all."""
    sender = threading.Thread(target=client.send, args=(data,))
    sender.start()
    assert receive()
    sender.join()


@pytest.mark.parametrize("size", [64, 256, 1024, 4096, 65536, 1 << 20])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_9_a_mebibyte_in_fragments_comes_back(echo, size, opcode):
    payload = b"0123456789abcdef" * 65536
    with Client(echo.port, timeout=60) as client:
        in_background(client, fragments(opcode, payload, size),
                      lambda: client.recv() == Frame(opcode, payload))


@pytest.mark.parametrize("size", [64, 1000, 4096, 65536])
def test_9_a_mebibyte_in_chopped_writes_comes_back(echo, size):
    payload = b"0123456789abcdef" * 65536
    data = frame(BINARY, payload)
    with Client(echo.port, timeout=60) as client:
        sender = threading.Thread(target=client.send_chopped, args=(data, size))
        sender.start()
        assert client.recv() == Frame(BINARY, payload)
        sender.join()


def test_9_65537_fragments_make_a_message_and_one_more_does_not(echo):
    with Client(echo.port, timeout=60) as client:
        client.send(start(b"a") + more() * 32767 + more(b"b") * 32768 + last(b"c"))
        assert client.recv() == Frame(TEXT, b"a" + b"b" * 32768 + b"c")
        client.send(start(b"a") + more() * 65537)
        client.expect_close(1008)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_9_four_mebibytes_in_fragments_of_64_bytes_come_back(echo, opcode):
    """Behind the last full one comes an empty one, as Autobahn has it in 9.3.1 and 9.4.1."""
    payload = b"0123456789abcdef" * scaled(1 << 18, least=1 << 14)
    data = [start(payload[:64], opcode)]
    data += [more(payload[at : at + 64]) for at in range(64, len(payload), 64)]
    with Client(echo.port, timeout=60) as client:
        in_background(client, b"".join(data) + last(),
                      lambda: client.recv() == Frame(opcode, payload))


def test_9_a_byte_above_16_mib_is_too_much(echo):
    with Client(echo.port) as client:
        client.send(frames.header(BINARY, (16 << 20) + 1) + b"x")
        client.expect_close(1009)


@pytest.mark.parametrize("size", [0, 16, 64, 256, 1024, 2048])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_9_a_thousand_messages_one_by_one(echo, size, opcode):
    data, back = frame(opcode, b"*" * size), Frame(opcode, b"*" * size)
    with Client(echo.port) as client:
        for _ in range(1000):
            client.send(data)
            assert client.recv() == back


def test_9_ten_thousand_messages_at_once(echo):
    data, back = frame(TEXT, b"*" * 100), Frame(TEXT, b"*" * 100)
    with Client(echo.port, timeout=60) as client:
        in_background(client, data * 10000, lambda: all(client.recv() == back for _ in range(10000)))


# ---- 10 and our own ----

def test_10_fragments_that_start_in_one_segment_and_end_in_another(echo):
    payload = b"*" * 65536
    data = fragments(TEXT, payload, 1300)
    for size in (1300, 1306, 1308, 1400):
        converse(echo, data, [Frame(TEXT, payload)], size)


def test_random_conversations_in_random_pieces_come_back_in_order(echo):
    dice = random.Random(6455)
    for _ in range(scaled(60, least=10)):
        data, expected = b"", []
        for _ in range(dice.randrange(1, 12)):
            opcode = dice.choice([TEXT, BINARY])
            size = dice.choice([0, 1, 5, 125, 126, 300, 4000, 70000])
            payload = bytes(dice.choices(b"abcdefgh", k=min(size, 300))) * max(1, size // 300)
            count = dice.randrange(1, 6)
            step = max(1, -(-len(payload) // count))
            parts = [payload[at : at + step] for at in range(0, len(payload), step)] or [b""]
            for n, part in enumerate(parts):
                data += frame(opcode if n == 0 else CONTINUE, part, fin=n == len(parts) - 1,
                              mask=frames.random_mask())
                if dice.random() < 0.3:
                    ping = bytes(dice.choices(b"xyz", k=dice.randrange(10)))
                    if n < len(parts) - 1:
                        data += frame(PING, ping)
                        expected.append(Frame(PONG, ping))
            expected.append(Frame(opcode, payload))
        with Client(echo.port, timeout=30) as client:
            def send(rest=data):
                while rest:
                    size = dice.choice([1, 2, 3, 10, 100, 1000, 65536])
                    client.send(rest[:size])
                    rest = rest[size:]
            sender = threading.Thread(target=send)
            sender.start()
            for want in expected:
                assert client.recv() == want
            sender.join()


def test_random_bytes_end_by_a_close_or_are_served(echo):
    dice = random.Random(9110)
    for _ in range(scaled(300, least=30)):
        data = bytearray(HELLO * 3 + frame(PING, b"x") + fragments(TEXT, b"abcdef", 2) + close(1000))
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        with Client(echo.port) as client:
            client.send(data)
            client.shutdown()
            try:
                while True:
                    got = client.recv()
                    assert got.opcode in (TEXT, BINARY, PONG, CLOSE)
            except Ended:
                pass
    assert echo.http.get("/healthz").status_code == 200


def test_the_echo_neither_greets_nor_pings(start):
    server = start("--dev-echo", "--heartbeat", "1s")
    with Client(server.port) as client:
        assert client.quiet(2.5)
        client.alive()


def test_the_echo_negotiates_nothing(echo):
    headers = {"Sec-WebSocket-Protocol": "pushwire.v1.json",
               "Sec-WebSocket-Extensions": "permessage-deflate"}
    with Client(echo.port, headers=headers) as client:
        assert "sec-websocket-protocol" not in client.answer.headers
        assert "sec-websocket-extensions" not in client.answer.headers


def test_an_echo_that_is_not_read_holds_little_memory(echo):
    with Client(echo.port, receive_buffer=4096, timeout=1) as client:
        data = frame(BINARY, b"x" * 60000)
        with Growth(echo, 4 << 20), pytest.raises(TimeoutError):
            for _ in range(2000):  # 120 MB
                client.send(data)
