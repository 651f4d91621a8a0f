"""Requests that are made to hurt: of each the memory, the processor and the descriptors come back, and
the server still stops when told to."""

import os
import random
import socket
import struct
import time

import pytest

from harness import AnswerReader, raw, request, scaled, serving, wait_until
from witness import processor_seconds

# Whatever a client may have asked when it leaves: each of these waits for the broker, which may know
# no such device or message.
PENDING = {
    "send": request("POST", "/send-message",
                    body=b'{"sender":"bob","receiver":"alice","message":"hi"}'),
    "lines": request("POST", "/send-messages",
                     body=b'{"sender":"bob","receiver":"alice","message":"hi"}\n' * 3),
    "list": request("GET", "/users"),
    "query": request("POST", "/users/query", body=b'{"users":["alice","bob"]}'),
    "describe": request("GET", "/users/alice"),
    "history": request("GET", "/users/alice/messages?after=1"),
    "erase": request("DELETE", "/users/alice/messages"),
    "ack": request("POST", "/users/alice/ack", body=b'{"device":"phone","id":"1"}'),
    "forget": request("DELETE", "/users/alice/devices/phone"),
    "message": request("GET", "/messages/1"),
    "kick": request("DELETE", "/users/alice/sessions"),
    "revoke": request("POST", "/users/alice/revoke", body=b"{}"),
    "channel": request("GET", "/channels/news"),
    "channel_history": request("GET", "/channels/news/messages?after=1"),
    "poll": request("GET", "/poll/alice?after=1&wait=1"),
    "poll_device": request("GET", "/poll/alice?device=phone&wait=0"),
    "poll_by_post": request("POST", "/poll/alice?wait=0", body=b'{"after":"1","channels":["news"]}'),
    "sse_device": request("GET", "/sse/alice?device=phone"),
    "sse_by_post": request("POST", "/sse/alice",
                           body=b'{"after":"1","device":"phone","channels":["news"]}'),
    "ws_device": request("GET", "/ws/alice?device=phone", "Connection: Upgrade",
                         "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
}

ASKED = (b"HTTP/1.1 200 ", b"HTTP/1.1 101 ", b"HTTP/1.1 404 ")

# Chunk sizes without an end, longer than any buffer.
ENDLESS = {
    "extension": b"5;" + b"x" * 40000,
    "zeros": b"0" * 40000,
    "after_a_chunk": b"5\r\nhello\r\n5;" + b"x" * 40000,
}


def reset_after(server, data, pause_us):
    """On a connection in use sends a request and resets it a moment later."""
    with server.connect() as sock:
        sock.sendall(request("GET", "/healthz"))
        sock.recv(4096)
        sock.sendall(data)
        until = time.perf_counter_ns() + pause_us * 1000
        while time.perf_counter_ns() < until:
            pass
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def descriptors(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


@pytest.fixture(scope="module")
def lively(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("lively"), "--workers", "2") as made:
        yield made


@pytest.mark.parametrize("name", PENDING)
@pytest.mark.workers
def test_a_reset_while_the_broker_is_asked_hurts_nobody(lively, name):
    dice = random.Random(name)
    with lively.connect() as sock:
        sock.sendall(PENDING[name])
        assert sock.recv(4096).startswith(ASKED)
    for _ in range(scaled(300, 30)):
        reset_after(lively, PENDING[name], dice.randrange(600))
    # An answer that went astray would now meet another client.
    for _ in range(20):
        assert b'"alice-too"' not in raw(lively, request("GET", "/healthz", "Connection: close"))
    assert lively.send("alice-too")["status"] == "Message sent"
    wait_until(lambda: lively.metric("http_connections") == 1)


def chunked(target, chunks):
    return (b"POST " + target + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + chunks)


def send_what_it_takes(sock, data):
    try:
        sock.sendall(data)
    except ConnectionError:
        pass


def test_chunk_sizes_without_an_end_cost_nothing_and_end(start):
    server = start("--request-timeout", "1s", "--workers", "1")
    before = descriptors(server)
    socks = []
    for target in (b"/send-message", b"/send-messages", b"/nowhere"):
        for chunks in ENDLESS.values():
            socks.append(server.connect())
            send_what_it_takes(socks[-1], chunked(target, chunks))
    used = processor_seconds(server)
    wait_until(lambda: server.metric("http_connections") == 1, deadline=15)
    assert processor_seconds(server) - used < 1
    for sock in socks:
        sock.close()
    wait_until(lambda: descriptors(server) <= before + 1)
    server.stop(deadline=8)


def test_many_of_them_hold_nobody_up_nor_the_stop(start):
    server = start("--request-timeout", "60s", "--drain", "1s", "--workers", "1")
    socks = [server.connect() for _ in range(50)]
    for sock in socks:
        send_what_it_takes(sock, chunked(b"/send-message", ENDLESS["zeros"]))
    assert server.send("alice")["status"] == "Message sent"
    used = processor_seconds(server)
    time.sleep(1)
    assert processor_seconds(server) - used < 0.6
    for sock in socks[:25]:
        sock.close()
    server.stop(deadline=12)
    for sock in socks[25:]:
        sock.close()


@pytest.mark.parametrize("target", ["/send-message", "/send-messages", "/nowhere", "/users"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_refusal_arrives_though_a_long_body_is_on_its_way(shared, target, framing):
    size = 20_000_000
    content = b"x" * size if framing == "length" else (b"x" * 50_000 for _ in range(size // 50_000))
    answer = shared.http.post(target, content=content, headers={"Content-Type": "text/plain"})
    assert answer.status_code in (404, 405, 413, 415)
    assert answer.json()["code"] in ("not_found", "method_not_allowed", "body_too_large",
                                     "unsupported_media_type")
    assert answer.headers["connection"] == "close"


def test_who_goes_on_sending_after_a_refusal_is_not_heard_for_ever(start):
    server = start("--workers", "1")
    with server.connect() as sock:
        sock.sendall(chunked(b"/nowhere", b"5\r\nhello\r\n"))
        assert AnswerReader(sock).next().status == 404
        wait_until(lambda: server.metric("http_connections") == 1, deadline=15)


def test_however_much_of_it_there_is_it_costs_nothing(start):
    """Also where it fills the library's buffer to the byte, and nothing is left unread."""
    server = start("--request-timeout", "2s", "--workers", "1")
    socks = [server.connect() for _ in range(300)]
    for i, sock in enumerate(socks):
        send_what_it_takes(sock, chunked(b"/send-message", b"0" * (20000 + i)))
    time.sleep(0.5)
    used = processor_seconds(server)
    time.sleep(1)
    assert processor_seconds(server) - used < 0.3
    wait_until(lambda: server.metric("http_connections") == 1, deadline=15)
    for sock in socks:
        sock.close()


def test_who_sends_slowly_beside_them_is_heard(start):
    server = start("--workers", "1", "--request-timeout", "60s")
    stuck = [server.connect() for _ in range(20)]
    for i, sock in enumerate(stuck):
        send_what_it_takes(sock, chunked(b"/send-message", b"0" * (20200 + 5 * i)))
    body = b'{"sender":"bob","receiver":"alice","message":"hi"}'
    # For a long line the library hears of nothing, though each byte of it is progress.
    chunks = b"%0400x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    with server.connect() as sock:
        for byte in chunked(b"/send-message", chunks):
            sock.sendall(bytes([byte]))
            time.sleep(0.004)
        assert AnswerReader(sock).next().status == 200
    for sock in stuck:
        sock.close()
