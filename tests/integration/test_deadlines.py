"""Every request has an answer or an end within its deadline, however slowly it is sent. The server
looks at its deadlines once a second, so 1 s is over after 2."""

import time

import pytest

from harness import AnswerReader, answers_of, read_until_close, request, serving

BODY = b'{"sender":"bob","receiver":"alice","message":"hi"}'
LATEST = 4.5  # for a deadline of one second


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A server with the shortest deadlines."""
    with serving(tmp_path_factory.mktemp("hasty"), "--head-timeout", "1s", "--request-timeout",
                  "1s", "--keepalive", "1s") as made:
        made.http.headers["Connection"] = "close"  # else it may be used again just when it is over
        yield made


def dribble(server, data, pause=0.1):
    """Sends byte by byte until the server closes; returns what came and after how long."""
    began = time.monotonic()
    with server.connect() as sock:
        sock.settimeout(pause)
        received = b""
        for at in range(len(data)):
            try:
                sock.sendall(data[at:at + 1])
                more = sock.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not more:
                break
            received += more
        else:
            raise AssertionError("it took every byte")
        return received, time.monotonic() - began


def check_late(received, took, *, least=1.0):
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert b"application/problem+json" in head
    assert b'"code":"request_timeout"' in body
    assert least - 0.05 <= took < LATEST


def test_a_head_that_dribbles_in_is_late(hasty):
    before = hasty.metric("refused_total", code="request_timeout")
    check_late(*dribble(hasty, request("GET", "/healthz", "X-Long: " + "v" * 500)))
    assert hasty.metric("refused_total", code="request_timeout") == before + 1


def test_a_body_that_dribbles_in_is_late(hasty):
    before = hasty.published()
    head = request("POST", "/send-message", "Content-Length: 1000")
    with hasty.connect() as sock:
        sock.sendall(head)
        began = time.monotonic()
        sock.settimeout(0.1)
        received = b""
        for byte in BODY * 2:
            try:
                sock.sendall(bytes([byte]))
                more = sock.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not more:
                break
            received += more
        check_late(received, time.monotonic() - began)
    assert hasty.published() == before


def test_a_chunked_body_that_never_ends_is_late(hasty):
    with hasty.connect() as sock:
        sock.sendall(request("POST", "/send-message", "Transfer-Encoding: chunked") + b"1\r\n{\r\n")
        began = time.monotonic()
        check_late(read_until_close(sock), time.monotonic() - began)


def test_an_empty_connection_is_closed(hasty):
    with hasty.connect() as sock:
        began = time.monotonic()
        read_until_close(sock, LATEST)
        assert time.monotonic() - began >= 0.95


def test_a_body_announced_and_never_sent_is_late(hasty):
    with hasty.connect() as sock:
        sock.sendall(request("POST", "/send-message", "Content-Length: 10", "Expect: 100-continue"))
        began = time.monotonic()
        received = read_until_close(sock)
        assert received.startswith(b"HTTP/1.1 100 ")
        check_late(received.partition(b"\r\n\r\n")[2], time.monotonic() - began)


def test_an_idle_connection_is_closed_without_a_word(hasty):
    with hasty.connect() as sock:
        sock.sendall(request())
        assert AnswerReader(sock).next().status == 200
        began = time.monotonic()
        assert read_until_close(sock, LATEST) == b""
        assert time.monotonic() - began >= 0.95


def test_a_second_head_that_dribbles_in_is_closed(hasty):
    with hasty.connect() as sock:
        sock.sendall(request())
        assert AnswerReader(sock).next().status == 200
        began = time.monotonic()
        sock.sendall(b"GET /healthz HT")
        received = read_until_close(sock, LATEST)
        assert not received or answers_of(received) == [408]
        assert time.monotonic() - began >= 0.95


def test_a_connection_in_use_outlives_the_deadlines(hasty):
    with hasty.connect() as sock:
        answers = AnswerReader(sock)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            sock.sendall(request("POST", "/send-message", body=BODY))
            assert answers.next().status == 200
            time.sleep(0.2)


def test_a_client_that_does_not_read_its_answer_is_closed(hasty):
    """Answers pile up in the kernel's buffers, then the server waits, but not for ever."""
    with hasty.connect() as sock:
        page = request("GET", "/", "Connection: keep-alive") * 50
        sock.settimeout(1)
        began = time.monotonic()
        try:
            while time.monotonic() - began < 20:
                sock.sendall(page)
        except (TimeoutError, ConnectionError):
            pass
        gone = hasty.metric("http_connections")
        end = time.monotonic() + 8
        while hasty.metric("http_connections") > 1 and time.monotonic() < end:
            time.sleep(0.05)
        assert hasty.metric("http_connections") <= 1, gone


def test_slow_clients_do_not_hold_others_up(start):
    server = start("--head-timeout", "60s", "--workers", "1")  # longer than the others wait
    socks = [server.connect() for _ in range(50)]
    for sock in socks:
        sock.sendall(b"POST /send-message HTTP/1.1\r\nHost: localhost\r\nContent-Le")
    for _ in range(20):
        server.send()
    assert server.metric("http_connections") == 51
    for sock in socks:
        sock.close()
