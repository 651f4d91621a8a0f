"""Heads at their limits, and good ones however they are cut on their way."""

import random

import pytest

from harness import AnswerReader, answers_of, raw, request
from library import takes_chunk_extensions

KIB = 1024
BODY = b'{"sender":"bob","receiver":"alice","message":"hi"}'


def head_size(data):
    return data.index(b"\r\n\r\n") + 4


def of_size(size, fields=1, **options):
    """A GET whose head has exactly this many bytes, filled by this many fields."""
    empty = [f"X-{i:03}: " for i in range(fields)]
    room = size - head_size(request("GET", "/healthz", *empty, "Connection: close", **options))
    share, rest = divmod(room, fields)
    lines = [e + "v" * (share + (rest if i == 0 else 0)) for i, e in enumerate(empty)]
    data = request("GET", "/healthz", *lines, "Connection: close", **options)
    assert head_size(data) == size
    return data


@pytest.mark.parametrize("fields", [1, 2, 10, 60])
@pytest.mark.parametrize("size", [1000, 4000, 7000, 8000, 8150])
def test_a_head_within_max_head_is_served(shared, size, fields):
    assert answers_of(raw(shared, of_size(size, fields))) == [200]


@pytest.mark.parametrize("size", [8193 + 50, 9000, 12000, 16000, 30000, 70000, 300000])
@pytest.mark.parametrize("fields", [1, 60])
def test_a_head_beyond_max_head_is_431(shared, size, fields):
    answers = answers_of(raw(shared, of_size(size, fields)))
    assert answers in ([431], []) if size > 20000 else answers == [431]


@pytest.mark.parametrize("length", [8300, 12000, 30000, 100000])
def test_a_long_address_is_414(shared, length):
    answers = answers_of(raw(shared, request("GET", "/" + "a" * length, "Connection: close")))
    assert answers in ([414], []) if length > 16000 else answers == [414]


def test_a_long_query_is_414(shared):
    assert answers_of(raw(shared, request("GET", "/users?x=" + "a" * 8300))) == [414]


def test_99_fields_are_served_and_100_are_not(shared):
    def with_fields(count):
        return request("GET", "/healthz", *[f"X{i}: y" for i in range(count - 2)],
                       "Connection: close")

    assert answers_of(raw(shared, with_fields(99))) == [200]
    assert answers_of(raw(shared, with_fields(100))) == [431]
    assert answers_of(raw(shared, with_fields(400))) == [431]


@pytest.mark.parametrize("size", [500, 4000, 7500])
@pytest.mark.parametrize("fields", [1, 30])
def test_cookies_of_other_servers_of_this_machine_do_no_harm(shared, size, fields):
    cookie = "; ".join(f"name{i}={'c' * 390}" for i in range(size // 400 + 1))
    more = [f"X{i}: y" for i in range(fields)]
    data = request("GET", "/healthz", f"Cookie: {cookie}"[:size], *more,
                   "Connection: close")
    assert answers_of(raw(shared, data)) == [200]


def test_max_head_is_configurable(start):
    small = start("--max-head", "1KiB")
    assert answers_of(raw(small, of_size(1000))) == [200]
    assert answers_of(raw(small, of_size(1100))) == [431]
    large = start("--max-head", "64KiB")
    assert answers_of(raw(large, of_size(60 * KIB, 30))) == [200]
    assert answers_of(raw(large, of_size(66 * KIB))) == [431]


# ---- good heads in pieces ----

def pieces_of(data, sizes):
    at = 0
    while at < len(data):
        size = next(sizes)
        yield data[at:at + size]
        at += size


def send_in_pieces(server, data, sizes, count=1):
    """Sends data in pieces, each its own segment, and returns the answers' status codes."""
    import time
    with server.connect() as sock:
        answers = AnswerReader(sock)
        for piece in pieces_of(data, sizes):
            sock.sendall(piece)
            time.sleep(0.0003)  # so that they arrive apart; nothing depends on it
        return [answers.next().status for _ in range(count)]


def forever(size):
    while True:
        yield size


POST = request("POST", "/send-message", "Content-Type: application/json", "X-Long: " + "v" * 300,
               body=BODY)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 127])
def test_a_request_cut_into_pieces_is_served(shared, size):
    assert send_in_pieces(shared, POST, forever(size)) == [200]


@pytest.mark.parametrize("at", range(1, len(POST), 5))
def test_a_request_cut_anywhere_is_served(shared, at):
    cut = iter([at, len(POST)])
    assert send_in_pieces(shared, POST, cut) == [200]


@pytest.mark.parametrize("seed", range(12))
def test_requests_cut_at_random_are_served(shared, seed):
    chance = random.Random(seed)
    sizes = iter(lambda: chance.choice([1, 2, 3, 5, 17, 80, 400, 1000]), None)
    extension = b";a=b" if takes_chunk_extensions() else b""
    chunked = request("POST", "/send-message", "Transfer-Encoding: chunked") \
        + b"5\r\n" + BODY[:5] + b"\r\n%X%s\r\n" % (len(BODY[5:]), extension) + BODY[5:] \
        + b"\r\n0\r\n\r\n"
    data = POST + chunked + request() + POST
    assert send_in_pieces(shared, data, sizes, 4) == [200] * 4


@pytest.mark.parametrize("size", [8000, 8150])
@pytest.mark.parametrize("piece", [100, 1000, 1024, 4096, 7999])
@pytest.mark.parametrize("fields", [1, 20, 60])
def test_a_head_of_nearly_max_head_may_arrive_in_pieces(shared, size, piece, fields):
    data = of_size(size, fields)
    assert send_in_pieces(shared, data, forever(piece)) == [200]


@pytest.mark.parametrize("piece", [1000, 4096])
def test_large_heads_follow_each_other_on_one_connection(shared, piece):
    data = of_size(7900, 20).replace(b"Connection: close", b"Connection: keep!")
    assert send_in_pieces(shared, data * 5, forever(piece), 5) == [200] * 5


def test_a_large_head_with_a_large_body_is_served(shared):
    body = b'{"sender":"bob","receiver":"alice","message":"' + b"x" * 60000 + b'"}'
    data = request("POST", "/send-message", "X-Long: " + "v" * 7800, body=body)
    assert send_in_pieces(shared, data, forever(5000)) == [200]


def test_blanks_around_values_do_not_matter(shared):
    data = request("POST", "/send-message", "Content-Type:application/json",
                   "X-A:  \t a b \t ", body=BODY)
    assert send_in_pieces(shared, data, forever(len(data))) == [200]
    assert answers_of(raw(shared, b"GET /healthz HTTP/1.1\r\nHost:localhost\r\n"
                                  b"Connection:\tclose\t \r\n\r\n")) == [200]


def test_an_empty_value_is_fine(shared):
    assert answers_of(raw(shared, request("GET", "/healthz", "X-Empty:", "X-Blank:  ",
                                          "Connection: close"))) == [200]


def test_header_names_of_all_token_characters_are_fine(shared):
    assert answers_of(raw(shared, request("GET", "/healthz", "!#$%&'*+-.^_`|~aZ09: x",
                                          "Connection: close"))) == [200]


def test_latin_1_and_utf8_in_values_are_let_be(shared):
    assert answers_of(raw(shared, request("GET", "/healthz", "X-A: \xe9\xc3\xa9",
                                          "Connection: close"))) == [200]


# ---- targets in absolute-form: RFC 9112 section 3.2.2 ----

def absolute(server, where, path="/healthz", method="GET", host="localhost", **options):
    return raw(server, request(method, where + path, "Connection: close", host=host, **options))


@pytest.mark.parametrize("where", ["http://localhost:8000", "http://localhost", "HTTP://127.0.0.1",
                                   "https://[::1]:8443"])
def test_a_target_in_absolute_form_is_served(shared, where):
    assert answers_of(absolute(shared, where)) == [200]
    assert answers_of(absolute(shared, where, "/healthz?a=b")) == [200]
    assert answers_of(absolute(shared, where, "/send-message", "POST", body=BODY)) == [200]
    assert answers_of(absolute(shared, where, "")) == answers_of(
        raw(shared, request("GET", "/", "Connection: close")))
    assert answers_of(absolute(shared, where, "/nothing")) == [404]


def test_the_host_of_the_target_counts_and_not_the_header(shared):
    assert answers_of(absolute(shared, "http://localhost", host="evil.example")) == [200]
    answer = absolute(shared, "http://evil.example")
    assert answers_of(answer) == [403] and b"host_not_allowed" in answer
