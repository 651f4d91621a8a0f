"""POST /send-messages: many messages in one request, one a line."""

import json
import signal
import socket
import subprocess

import pytest

from harness import AnswerReader, DEADLINE, answers_of, read_until_close, request, run, scaled, \
    wait_until

pytestmark = pytest.mark.workers

NDJSON = {"Content-Type": "application/x-ndjson"}
CHUNKED = request("POST", "/send-messages", "Transfer-Encoding: chunked",
                  "Content-Type: application/x-ndjson")


def line(user, message="hi", **fields):
    return json.dumps({"sender": "bob", "receiver": user, "message": message, **fields}) + "\n"


def post(server, body, **headers):
    return server.http.post("/send-messages", content=body, headers={**NDJSON, **headers})


def results_of(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(one) for one in answer.text.splitlines()]


def chunk(data):
    data = data.encode() if isinstance(data, str) else data
    return b"%x\r\n%s\r\n" % (len(data), data)


def mail_of(server, user, limit=1000):
    page = server.http.get(f"/users/{user}/messages?after=0&limit={limit}").json()
    return [one["message"] for one in page["messages"]]


# ---- lines and results ----

def test_each_line_is_answered_as_if_it_had_come_alone(shared, user):
    body = line(user) + line(user, ttl=0, tll=1) + json.dumps(
        {"sender": "bob", "receivers": [user, "x"], "message": {"a": [1, None]}}) + "\n"
    results = results_of(post(shared, body))
    assert [list(one) for one in results] == [
        ["index", "status", "id", "delivered", "kept", "durable"],
        ["index", "status", "id", "delivered", "kept", "durable", "ignored"],
        ["index", "status", "id", "delivered", "kept", "durable", "receivers"]]
    assert [one["index"] for one in results] == [0, 1, 2]
    assert [one["kept"] for one in results] == [True, False, True]
    assert results[2]["receivers"] == [{"receiver": user, "delivered": 0},
                                       {"receiver": "x", "delivered": 0}]
    assert mail_of(shared, user) == ["hi", {"a": [1, None]}]


def test_a_bad_line_fails_alone(shared, user):
    body = line(user, 1) + '{"sender":"bob"}\n{"sender\nnull\n' + line("a/b") + line(user, 2)
    results = results_of(post(shared, body))
    assert [one.get("code") for one in results] == [None, "missing_field", "bad_json", "bad_json",
                                                    "bad_field", None]
    assert results[1] == {
        "index": 1, "status": 422, "code": "missing_field", "field": "receiver",
        "detail": "Give exactly one of receiver, receivers, channel, broadcast."}
    assert mail_of(shared, user) == [1, 2]


def test_ids_rise_with_the_lines(shared, user):
    count = 1000
    results = results_of(post(shared, "".join(line(user, i) for i in range(count))))
    ids = [one["id"] for one in results]
    assert ids == sorted(set(ids)) and len(ids) == count
    assert mail_of(shared, user) == list(range(count))


def test_empty_lines_are_skipped_and_line_ends_may_be_those_of_windows(shared, user):
    body = "\n\r\n" + line(user, 1).replace("\n", "\r\n") + " \t \n" + line(user, 2).rstrip("\n")
    assert [one["index"] for one in results_of(post(shared, body))] == [0, 1]
    assert mail_of(shared, user) == [1, 2]


@pytest.mark.parametrize("body", ["", "\n", "\r\n\n  \n"])
def test_of_no_lines_there_are_no_results(shared, body):
    assert results_of(post(shared, body)) == []


def test_a_null_byte_or_bad_utf8_fails_alone(shared, user):
    body = line(user, 1).encode() + b'{"sender":"b\0"}\n{"sender":"\xff"}\n\xef\xbb\xbf{}\n'
    results = results_of(post(shared, body + line(user, 2).encode()))
    assert [one.get("code") for one in results] == [None, "bad_json", "bad_json", "bad_json", None]
    assert mail_of(shared, user) == [1, 2]


def test_the_same_lines_again_are_duplicates(shared, user):
    body = "".join(line(user, i, key=f"{user}-{i}") for i in range(3))
    first = results_of(post(shared, body))
    again = results_of(post(shared, body + line(user, 9, key=f"{user}-0")))
    assert [one["id"] for one in again[:3]] == [one["id"] for one in first]
    assert all(one["duplicate"] for one in again[:3])
    assert (again[3]["code"], again[3]["field"], again[3]["status"]) == ("key_conflict", "key", 409)
    alone = shared.http.post("/send-message", content=line(user, 1, key=f"{user}-1").rstrip("\n"))
    assert alone.json()["id"] == first[1]["id"]
    assert mail_of(shared, user) == [0, 1, 2]


def test_one_key_for_all_is_refused(shared, user):
    answer = post(shared, line(user), **{"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["field"]) == (422, "key")
    assert mail_of(shared, user) == []


@pytest.mark.parametrize("headers", [{"Content-Type": "application/json"},
                                     {"Content-Type": "text/plain"},
                                     {"Content-Encoding": "gzip"}], ids=str)
def test_what_is_no_ndjson_is_refused(shared, user, headers):
    answer = post(shared, line(user), **headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert mail_of(shared, user) == []


def test_other_bodies_are_not_unpacked_either(shared, user):
    answer = shared.http.post("/send-message", content=line(user),
                              headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "identity"
    assert mail_of(shared, user) == []


def test_get_is_not_served(shared):
    answer = shared.http.get("/send-messages")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# ---- as they arrive ----

def test_a_line_is_delivered_before_the_next_is_sent(shared, user):
    async def scenario():
        async with shared.ws(f"/ws/{user}") as tab:
            with shared.connect() as sock:
                sock.sendall(CHUNKED)
                for i in range(3):
                    sock.sendall(chunk(line(user, f"line {i}")))
                    assert await tab.recv() == f"[bob]: line {i}"
                sock.sendall(b"0\r\n\r\n")
                answer = AnswerReader(sock).next()
        assert [json.loads(one)["delivered"] for one in answer.body.splitlines()] == [1, 1, 1]

    run(scenario())


def test_lines_may_come_byte_by_byte(shared, user):
    with shared.connect() as sock:
        sock.sendall(CHUNKED)
        for byte in (line(user, 1) + line(user, 2)).encode():
            sock.sendall(chunk(bytes([byte])))
        sock.sendall(b"0\r\n\r\n")
        assert AnswerReader(sock).next().body.count(b"Message sent") == 2
    assert mail_of(shared, user) == [1, 2]


def test_who_leaves_midway_leaves_whole_messages(shared, user):
    before = shared.metric("http_connections")
    with shared.connect() as sock:
        sock.sendall(CHUNKED + chunk(line(user, 1) + line(user, 2) + line(user, 3).rstrip("\n")))
        wait_until(lambda: mail_of(shared, user) == [1, 2])
    wait_until(lambda: shared.metric("http_connections") <= before)
    assert mail_of(shared, user) == [1, 2]


def test_a_broken_length_leaves_no_half_message(shared, user):
    body = line(user, 1) + line(user, 2).rstrip("\n")
    with shared.connect() as sock:
        sock.sendall(request("POST", "/send-messages", f"Content-Length: {len(body) + 1}")
                     + body.encode())
        wait_until(lambda: mail_of(shared, user) == [1])
        sock.shutdown(socket.SHUT_WR)
        read_until_close(sock)
    assert mail_of(shared, user) == [1]


def test_a_batch_in_the_pipeline_keeps_its_place(shared, user):
    data = request() + CHUNKED + chunk(line(user, 1)) + b"0\r\n\r\n" + request("GET", "/none")
    with shared.connect() as sock:
        sock.sendall(data)
        answers = AnswerReader(sock)
        assert [answers.next().status for _ in range(3)] == [200, 200, 404]


@pytest.mark.parametrize("how", [["--data-binary"], ["-H", "Transfer-Encoding: chunked",
                                                     "--data-binary"],
                                 ["-H", "Expect: 100-continue", "--data-binary"]], ids=str)
def test_curl_sends_a_file(shared, user, tmp_path, how):
    path = tmp_path / "messages.ndjson"
    path.write_text("".join(line(user, i) for i in range(200)))
    done = subprocess.run(["curl", "-sS", "--fail", *how, f"@{path}", f"{shared.url}/send-messages"],
                          capture_output=True, timeout=DEADLINE, check=True)
    assert done.stdout.count(b"Message sent") == 200
    assert mail_of(shared, user) == list(range(200))


# ---- limits ----

def test_ten_thousand_lines_are_taken_and_no_more(shared, user):
    body = "".join(line(user, i, ttl=0) for i in range(10010))
    results = results_of(post(shared, body))
    assert len(results) == 10001
    assert all(one["status"] == "Message sent" for one in results[:-1])
    assert results[-1] == {"index": 10000, "status": 413, "code": "too_many_lines",
                           "detail": "This line and those after it were not taken."}


def test_sixteen_mebibytes_are_taken_and_no_more(shared, user):
    one = line(user, "x" * 32000, ttl=0)
    fit = (16 << 20) // len(one)

    def pieces():
        for _ in range(fit + 50):
            yield one.encode()

    results = results_of(shared.http.post("/send-messages", content=pieces(), headers=NDJSON))
    assert len(results) == fit + 1
    assert (results[-1]["index"], results[-1]["code"]) == (fit, "too_many_lines")


def test_a_longer_body_is_refused_before_it_comes(shared, user):
    data = request("POST", "/send-messages", f"Content-Length: {(16 << 20) + 1}",
                   "Expect: 100-continue")
    with shared.connect() as sock:
        sock.sendall(data)
        assert answers_of(read_until_close(sock)) == [413]


def test_a_line_longer_than_a_body_may_be_fails_alone(start, user):
    server = start("--max-body", "2KiB", "--max-message", "2KiB")
    body = line(user, 1) + line(user, "x" * 2048) + line(user, 2)
    results = results_of(post(server, body))
    assert [one.get("code") for one in results] == [None, "body_too_large", None]
    assert mail_of(server, user) == [1, 2]


def test_a_message_too_large_fails_alone(start, user):
    server = start("--max-message", "1KiB")
    results = results_of(post(server, line(user, "x" * 2000) + line(user, 2)))
    assert [(one["status"], one.get("code")) for one in results] == [
        (413, "message_too_large"), ("Message sent", None)]


def test_a_line_that_does_not_come_is_late(start, user):
    server = start("--request-timeout", "1s")
    with server.connect() as sock:
        sock.sendall(CHUNKED + chunk(line(user, 1)) + chunk(line(user, 2)[:10]))
        received = read_until_close(sock)
    assert answers_of(received) == [408]
    assert b'"code":"request_timeout"' in received
    assert mail_of(server, user) == [1]


def test_lines_that_come_in_time_may_take_longer_together(start, user):
    server = start("--request-timeout", "1s")
    refused = server.metric("refused_total", code="request_timeout")
    with server.connect() as late, server.connect() as sock:
        late.sendall(CHUNKED + b"1\r\n{\r\n")
        sock.sendall(CHUNKED)
        count = 0
        # The other one's deadline comes twice over: a witness that this one's would have, too.
        for _ in range(2):
            late.settimeout(0.1)
            while True:
                sock.sendall(chunk(line(user, count)))
                count += 1
                try:
                    if not late.recv(65536):
                        break
                except TimeoutError:
                    continue
            late.close()
            late = server.connect()
            late.sendall(CHUNKED + b"1\r\n{\r\n")
        late.close()
        sock.sendall(b"0\r\n\r\n")
        assert AnswerReader(sock).next().body.count(b"Message sent") == count
    assert server.metric("refused_total", code="request_timeout") == refused + 2


# ---- beside others ----

def test_many_batches_at_once(shared, user):
    count, lines = scaled(20, 4), scaled(500, 50)
    socks = [shared.connect() for _ in range(count)]
    try:
        for sock in socks:
            sock.sendall(CHUNKED)
        for i in range(lines):
            for n, sock in enumerate(socks):
                sock.sendall(chunk(line(f"{user}-{n}", i)))
        for sock in socks:
            sock.sendall(b"0\r\n\r\n")
        for n, sock in enumerate(socks):
            answer = AnswerReader(sock).next()
            ids = [json.loads(one)["id"] for one in answer.body.splitlines()]
            assert ids == sorted(set(ids)) and len(ids) == lines
            assert mail_of(shared, f"{user}-{n}") == list(range(lines))
    finally:
        for sock in socks:
            sock.close()


def test_metrics_count_each_line(start, user):
    server = start()
    results_of(post(server, line(user) + "{}\n" + line(user) + "{\n"))
    assert server.published() == 2
    assert server.metric("refused_total", code="missing_field") == 1
    assert server.metric("refused_total", code="bad_json") == 1
    assert server.metric("publish_seconds_count") == 2


def test_a_stop_lets_a_batch_end(start, user):
    server = start()
    with server.connect() as sock:
        sock.sendall(CHUNKED + chunk(line(user, 1)))
        wait_until(lambda: mail_of(server, user) == [1])
        server.signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in server.log_text())
        sock.sendall(chunk(line(user, 2)) + b"0\r\n\r\n")
        answer = AnswerReader(sock).next()
        assert answer.body.count(b"Message sent") == 2
        assert answer.headers["connection"] == "close"
    assert server.wait() == 0


def test_a_stop_does_not_wait_for_ever(start, user):
    server = start("--drain", "1s")
    with server.connect() as sock:
        sock.sendall(CHUNKED + chunk(line(user, 1)))
        wait_until(lambda: mail_of(server, user) == [1])
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert answers_of(read_until_close(sock)) == []
