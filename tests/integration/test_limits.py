"""How large things may be, whichever way they come."""

import json

import pytest

from harness import AnswerReader, raw, read_until_close, request

KIB = 1024


def body_with(size):
    """A body whose message is exactly this many bytes of JSON."""
    return json.dumps({"sender": "bob", "receiver": "alice", "message": "x" * (size - 2)})


def post(server, body):
    return server.http.post("/send-message", content=body,
                            headers={"Content-Type": "application/json"})


def test_a_message_of_max_message_is_taken_and_one_byte_more_is_not(shared):
    assert post(shared, body_with(64 * KIB)).status_code == 200
    before = shared.published()
    answer = post(shared, body_with(64 * KIB + 1))
    assert answer.status_code == 413
    assert (answer.json()["code"], answer.json()["field"]) == ("message_too_large", "message")
    assert shared.published() == before


def test_max_message_counts_what_is_kept_not_white_space(shared):
    body = '{"sender":"bob","receiver":"alice","message":[1,' + " " * (100 * KIB) + "2]}"
    assert post(shared, body).status_code == 200


def test_max_message_is_configurable(start):
    server = start("--max-message", "1KiB")
    assert post(server, body_with(KIB)).status_code == 200
    assert post(server, body_with(KIB + 1)).status_code == 413


def test_a_body_of_max_body_is_taken(shared):
    body = body_with(10)
    assert post(shared, body + " " * (256 * KIB - len(body))).status_code == 200


def chunks(body, size=8000):
    for at in range(0, len(body), size):
        yield body[at:at + size]


@pytest.mark.parametrize("size", [256 * KIB + 1, 900 * KIB, 8192 * KIB])
@pytest.mark.parametrize("way", ["length", "chunked"])
def test_a_larger_body_is_413_whichever_way_it_comes(shared, size, way):
    body = body_with(10).encode().ljust(size)
    before = shared.published()
    if way == "chunked" and size > 1024 * KIB:
        body = body[:1200 * KIB]  # beyond a megabyte nobody reads on
    try:
        answer = shared.http.post(
            "/send-message", headers={"Content-Type": "application/json"},
            content=body if way == "length" else chunks(body))
        assert answer.status_code == 413
        assert answer.json()["code"] == "body_too_large"
    except Exception as error:
        import httpx
        # It may cut off a client that goes on sending for long.
        assert size > 1024 * KIB and isinstance(error, httpx.TransportError), error
    assert shared.published() == before


def test_the_refusal_of_a_short_body_keeps_the_connection(shared):
    with shared.connect() as sock:
        answers = AnswerReader(sock)
        sock.sendall(request("POST", "/nowhere", body=b" " * (64 * KIB)))
        assert answers.next().status == 404
        sock.sendall(request())
        assert answers.next().status == 200


def test_the_refusal_of_a_longer_body_comes_before_its_end(shared):
    with shared.connect() as sock:
        answers = AnswerReader(sock)
        sock.sendall(request("POST", "/nowhere", f"Content-Length: {64 * KIB + 1}"))
        answer = answers.next()
        assert answer.status == 404 and answer.headers["connection"] == "close"
        sock.sendall(b" " * (64 * KIB + 1))
        assert read_until_close(sock) == b""


def test_a_client_that_asks_first_is_told_to_go_on(shared):
    body = body_with(10)
    with shared.connect() as sock:
        answers = AnswerReader(sock)
        sock.sendall(request("POST", "/send-message", f"Content-Length: {len(body)}",
                             "Expect: 100-continue"))
        assert answers.next().status == 100
        sock.sendall(body.encode())
        assert answers.next().status == 200


def test_a_client_that_asks_first_is_refused_at_once(shared):
    got = raw(shared, request("POST", "/send-message", f"Content-Length: {300 * KIB}",
                              "Expect: 100-continue"))
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in got


@pytest.mark.parametrize("length", [10**12, 10**17])
def test_an_absurd_length_is_refused_at_once(shared, length):
    got = raw(shared, request("POST", "/send-message", f"Content-Length: {length}"))
    assert got.startswith(b"HTTP/1.1 413 ")


def test_max_body_is_configurable(start):
    server = start("--max-body", "2KiB", "--max-message", "1KiB")
    assert post(server, body_with(10).ljust(2 * KIB)).status_code == 200
    assert post(server, body_with(10).ljust(2 * KIB + 1)).status_code == 413
