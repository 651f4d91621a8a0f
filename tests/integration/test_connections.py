"""Many requests on one connection, and the older ways to speak HTTP."""

import signal
import socket

import httpx
import pytest

from harness import AnswerReader, answers_of, raw, request, scaled, wait_until
from library import takes_chunk_extensions

pytestmark = pytest.mark.workers


def post(number, user="alice", *headers):
    return request("POST", "/send-message", "Content-Type: application/json", *headers,
                   body=f'{{"sender":"bob","receiver":"{user}","message":{number}}}')


def mail(server, user):
    told = server.http.get(f"/users/{user}/messages?after=0&limit=1000").json()
    return [m["message"] for m in told["messages"]]


def test_pipelined_requests_are_answered_in_order(shared, user):
    count = scaled(300, 20)
    with shared.connect() as sock:
        answers = AnswerReader(sock)
        sock.sendall(b"".join(post(i, user) for i in range(count)))
        ids = []
        for _ in range(count):
            answer = answers.next()
            assert answer.status == 200
            ids.append(answer.body[answer.body.index(b'"id"'):][:26])
    assert ids == sorted(set(ids))
    assert mail(shared, user) == list(range(count))


def test_pipelined_requests_of_many_kinds_keep_their_places(shared, user):
    requests = [(request("GET", "/nothing"), 404), (post(1, user), 200), (request(), 200),
                (request("PUT", "/users"), 405), (request("GET", f"/users/{user}"), 200),
                (request("POST", "/send-message", body=b"{"), 400),
                (request("GET", "/users/%00"), 400), (request("GET", "/"), 200),
                (request("DELETE", f"/users/{user}/sessions"), 200), (request("GET", "/users"), 200),
                (request("OPTIONS", "/users"), 204), (post(2, user), 200)]
    with shared.connect() as sock:
        answers = AnswerReader(sock)
        sock.sendall(b"".join(data for data, _ in requests * 5))
        for _, status in requests * 5:
            assert answers.next().status == status


def test_a_broken_one_in_the_middle_ends_the_row(shared, user):
    broken = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
    got = raw(shared, post(1, user) + post(2, user) + broken + post(3, user))
    assert answers_of(got) == [200, 200, 400]
    assert mail(shared, user) == [1, 2]


def test_a_pipelined_request_that_closes_is_the_last(shared, user):
    got = raw(shared, post(1, user) + post(2, user, "Connection: close") + post(3, user))
    assert answers_of(got) == [200, 200]
    assert mail(shared, user) == [1, 2]


def test_a_client_that_stops_writing_still_gets_its_answers(shared, user):
    with shared.connect() as sock:
        answers = AnswerReader(sock)
        sock.sendall(post(1, user) + post(2, user))
        sock.shutdown(socket.SHUT_WR)
        assert [answers.next().status, answers.next().status] == [200, 200]


def test_many_that_stop_writing_at_once_all_get_their_answers(server):
    """Their answers come later, from the broker, and together; all have gone silent by then."""
    socks = [server.connect() for _ in range(20)]
    server.signal(signal.SIGSTOP)
    for number, sock in enumerate(socks):
        sock.sendall(post(number, "ann"))
        sock.shutdown(socket.SHUT_WR)
    server.signal(signal.SIGCONT)
    for sock in socks:
        assert AnswerReader(sock).next().status == 200
        sock.close()
    assert sorted(mail(server, "ann")) == list(range(20))


def test_a_client_that_goes_away_midway_publishes_nothing(shared, user):
    with shared.connect() as sock:
        sock.sendall(post(1, user)[:-1])
    shared.send(user, "next")
    assert mail(shared, user) == ["next"]


@pytest.mark.parametrize("data", [
    request("POST", "/send-message", body="x" * 100)[:-50], request()[:-10], request(),
    request("POST", "/send-message", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n",
], ids=["in-the-body", "in-the-head", "behind-a-request", "between-chunks"])
def test_a_client_whose_goodbye_came_with_its_last_bytes_is_let_go(start, data):
    server = start()
    idle = server.metric("http_connections")
    with server.connect() as sock:
        wait_until(lambda: server.metric("http_connections") == idle + 1)
        server.signal(signal.SIGSTOP)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        server.signal(signal.SIGCONT)
        wait_until(lambda: server.metric("http_connections") == idle, deadline=4)


def test_a_connection_is_kept_for_many_requests(shared):
    with shared.connect() as sock:
        answers = AnswerReader(sock)
        for _ in range(100):
            sock.sendall(request())
            answer = answers.next()
            assert answer.status == 200
            assert answer.headers.get("connection", "").lower() != "close"


@pytest.mark.parametrize("line", ["Connection: close", "Connection: Close", "connection: x, close"])
def test_close_is_obeyed(shared, line):
    got = raw(shared, request("GET", "/healthz", line))
    assert answers_of(got) == [200]


def test_http_1_0_is_answered_and_closed(shared, user):
    assert answers_of(raw(shared, request(version="HTTP/1.0"))) == [200]
    assert answers_of(raw(shared, request(version="HTTP/1.0", host=None))) == [200]
    assert answers_of(raw(shared, post(1, user).replace(b"HTTP/1.1", b"HTTP/1.0"))) == [200]
    assert mail(shared, user) == [1]


def test_http_1_0_may_ask_to_be_kept(shared):
    with shared.connect() as sock:
        answers = AnswerReader(sock)
        for _ in range(3):
            sock.sendall(request("GET", "/healthz", "Connection: keep-alive", version="HTTP/1.0"))
            assert answers.next().status == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/users/alice", "/nothing", "/metrics"])
def test_head_is_get_without_the_body(shared, path):
    with shared.connect() as sock:
        answers = AnswerReader(sock)
        sock.sendall(request("HEAD", path) + request("GET", path))
        head = answers.next(head_only=True)
        get = answers.next()
        assert (head.status, head.headers.get("content-type")) \
            == (get.status, get.headers.get("content-type"))
        if path in ("/", "/healthz"):
            assert head.headers["content-length"] == get.headers["content-length"]


def chunked(body, size):
    cut = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in cut) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 10, 1000])
def test_chunked_bodies_are_read(shared, user, size):
    body = f'{{"sender":"bob","receiver":"{user}","message":"{"x" * 300}"}}'.encode()
    with shared.connect() as sock:
        sock.sendall(request("POST", "/send-message", "Transfer-Encoding: chunked"))
        for byte in chunked(body, size):
            sock.sendall(bytes([byte]))
        assert AnswerReader(sock).next().status == 200
    assert mail(shared, user) == ["x" * 300]


@pytest.mark.parametrize("line", ["transfer-encoding: chunked", "Transfer-Encoding: Chunked",
                                  "Transfer-Encoding:chunked", "Transfer-Encoding: \t chunked"])
def test_chunked_is_known_in_every_proper_spelling(shared, user, line):
    body = f'{{"sender":"bob","receiver":"{user}","message":1}}'.encode()
    data = request("POST", "/send-message", line) + chunked(body, 9)
    with shared.connect() as sock:
        sock.sendall(data)
        assert AnswerReader(sock).next().status == 200


def test_trailers_are_ignored(shared, user):
    body = f'{{"sender":"bob","receiver":"{user}","message":1}}'.encode()
    data = request("POST", "/send-message", "Transfer-Encoding: chunked") \
        + b"%x\r\n%s\r\n0\r\nX-Trailer: yes\r\n\r\n" % (len(body), body)
    with shared.connect() as sock:
        answers = AnswerReader(sock)
        sock.sendall(data + request())
        assert [answers.next().status, answers.next().status] == [200, 200]


def test_chunk_extensions_are_ignored_or_refused(shared, user):
    before = shared.published()
    body = f'{{"sender":"bob","receiver":"{user}","message":1}}'.encode()
    data = request("POST", "/send-message", "Transfer-Encoding: chunked") \
        + b'%x;name="value";x\r\n%s\r\n0;y\r\n\r\n' % (len(body), body)
    with shared.connect() as sock:
        sock.sendall(data)
        assert AnswerReader(sock).next().status == (200 if takes_chunk_extensions() else 400)
    assert shared.published() == before + takes_chunk_extensions()


def test_many_connections_at_once_are_served(shared):
    socks = [shared.connect() for _ in range(scaled(200, 20))]
    for sock in socks:
        sock.sendall(request())
    for sock in socks:
        assert AnswerReader(sock).next().status == 200
    for sock in socks:
        sock.close()


def test_answers_carry_a_length_and_no_server_s_name(shared):
    answer = shared.http.get("/healthz")
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "server" not in answer.headers


def test_a_date_is_given(shared):
    assert httpx.get(f"{shared.url}/healthz", trust_env=False).headers["date"].endswith("GMT")
