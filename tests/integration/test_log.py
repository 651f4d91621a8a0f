"""The log: one event a line, in two forms, without secrets and control bytes."""

import fcntl
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading

import pytest

from frames import Client, text
from guarded import Files, token
from harness import (BINARY, DEADLINE, AnswerReader, clean_environment, http_client, raw, request,
                     run, run_binary, wait_until)

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn |info |debug) [a-z].*")


def stopped(server):
    server.stop()
    return server.log


def requests_in(server):
    return [json.loads(line) for line in server.log if '"event":"request"' in line]


def test_every_line_is_time_level_event(start):
    server = start("--log-level", "debug", "--access-log")
    server.send()
    raw(server, b"nonsense\r\n\r\n")

    async def scenario():
        async with server.ws("/ws/alice"):
            pass

    run(scenario())
    for line in stopped(server):
        assert LINE.fullmatch(line), line


def test_in_json_every_line_is_an_object(start):
    server = start("--log-format", "json", "--log-level", "debug", "--access-log")
    server.send()
    for target in ('/users/a"b', "/users/a\\b", "/users/%00", "/users/zo\xeb", "/users/\xff\xfe",
                   "/users/\xc3\xa9", "/\xed\xa0\x80", "/users/%FF", "/\xc2\x9b31m"):
        raw(server, request("GET", target, "Connection: close"))
    raw(server, b"GET / HTTP/1.1\r\nHost: a\x1b[2J\r\n\r\n")
    raw(server, b"\x16\x03\x01\xff\xff\r\n\r\n")

    async def scenario():
        async with server.ws("/ws/%C3%A9%22"):
            pass

    run(scenario())
    for line in stopped(server):
        event = json.loads(line)
        assert list(event)[:3] == ["time", "level", "event"]
        assert "\ufffd" not in line, "what is not UTF-8 must not get into the log as it is"
        assert not re.search("[\x00-\x1f\x7f-\x9f]", line)


def test_an_access_line_tells_method_path_status_and_id(start):
    server = start("--log-format", "json", "--access-log")
    server.http.get("/users/alice?limit=5", headers={"X-Request-Id": "my-id"})
    server.http.post("/send-message", json={})
    wait_until(lambda: len(requests_in(server)) == 2)
    one, two = requests_in(server)
    assert {k: one[k] for k in ("method", "path", "status", "request_id")} == {
        "method": "GET", "path": "/users/alice", "status": 200, "request_id": "my-id"}
    assert one["us"] >= 0
    assert (two["status"], two["code"]) == (422, "missing_field")


def test_query_strings_bodies_and_credentials_are_never_logged(start):
    server = start("--access-log", "--log-level", "debug")
    server.http.get("/users?from=secret-a", headers={"Authorization": "Bearer secret-b",
                                                     "Cookie": "x=secret-c"})
    server.http.get("/nothing?token=secret-d")
    server.http.get("/users/%00?token=secret-e")
    server.http.get("/users?limit=secret-f")
    server.send("alice", "secret-g", key="secret-h")
    raw(server, b"GET /?token=secret-i HTTP/1.1\r\n\r\n")
    raw(server, b"GET /?token=secret-j HTTP/1.1\r\nHost: a\r\nHost: secret-k\r\n\r\n")
    raw(server, b"GET /?secret-l" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")

    async def scenario():
        async with server.ws("/ws/alice?token=secret-m&after=0") as socket:
            await socket.recv()
            await socket.send("secret-n")
        try:
            async with server.ws("/ws/alice?after=secret-o"):
                pass
        except Exception:
            pass

    run(scenario())
    assert "secret" not in "\n".join(stopped(server))


def test_control_bytes_of_clients_are_escaped(start):
    server = start("--access-log", "--log-level", "debug")
    for data in (b"GET /a\x1b[31mb HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 b"GE\x07T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 b"GET /x HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\x1bb\r\n\r\n",
                 request("GET", "/users/a%0Aready%20listen=evil", "Connection: close"),
                 request("GET", "/users/%1b%5b31m", "Connection: close")):
        raw(server, data)
    for line in stopped(server):
        assert LINE.fullmatch(line), line
        assert not re.search(r"[\x00-\x1f\x7f]", line)


def test_the_level_says_how_much_is_told():
    refused = ["--listen", "0.0.0.0:0"]
    done = run_binary(*refused, "--log-level", "error")
    assert done.stderr.count("\n") == 1 and " error " in done.stderr


def test_without_access_log_requests_are_silent(start):
    server = start()
    server.send()
    server.http.get("/nothing")
    assert not any("request" in line for line in stopped(server))


# ---- a log that nobody reads, or that a stranger would fill ----

def count_in(lines, event):
    """How many lines of this event there were, told one by one or as a count."""
    counts = [re.search(r"event=" + event + r" .*count=(\d+)", line) for line in lines]
    return (sum(f"  {event} " in line for line in lines)
            + sum(int(found.group(1)) for found in counts if found))


def ask_many(address, count, data):
    """The statuses of so many requests on one connection, a hundred at a time."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as sock:
        answers, statuses = AnswerReader(sock), []
        for _ in range(count // 100):
            sock.sendall(data * 100)
            statuses += [answers.next().status for _ in range(100)]
    return statuses


@pytest.fixture
def unread(tmp_path):
    """A server with an access log, its address, and a pipe that nobody has read since it was ready."""
    process = subprocess.Popen([BINARY, "--listen", "127.0.0.1:0", "--broker", "memory",
                                "--access-log", "--drain", "1s"],
                               cwd=tmp_path, stderr=subprocess.PIPE, env=clean_environment())
    fcntl.fcntl(process.stderr.fileno(), fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(process.stderr.fileno(), True)
    line = b""
    while b" ready " not in line:
        line = process.stderr.readline()
        assert line
    yield process, re.search(rb"listen=(\S+)", line).group(1).decode()
    process.kill()
    process.wait()
    process.stderr.close()


def test_a_log_that_nobody_reads_holds_nobody(unread):
    process, address = unread
    assert set(ask_many(address, 6000, request("GET", "/nothing"))) == {404}
    with http_client(f"http://{address}") as http:
        lost = re.search(r"^pushwire_log_lines_lost_total (\d+)", http.get("/metrics").text, re.M)
    assert int(lost.group(1)) > 0
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0


def test_what_is_lost_is_counted_and_told(unread):
    process, address = unread
    lines = []
    ask_many(address, 6000, request("GET", "/nothing"))
    reader = threading.Thread(target=lambda: lines.extend(process.stderr))
    reader.start()
    told = wait_until(lambda: next((line for line in lines if b"lines of the log were lost" in line),
                                   None))
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0
    reader.join(DEADLINE)
    lost = int(re.search(rb"count=(\d+)", told).group(1))
    assert sum(b"/nothing" in line for line in lines) + lost == 6000


def test_refusals_fill_no_log(start, tmp_path):
    server = start("--keys-file", str(Files(tmp_path / "files").keys_file))
    assert set(ask_many(server.address, 3000, request("GET", "/users/x"))) == {401}
    lines = stopped(server)
    assert count_in(lines, "refused") == 3000
    assert sum("  refused " in line for line in lines) < 3000


def test_refused_frames_of_a_session_fill_no_log(start, tmp_path):
    server = start(*Files(tmp_path / "files").args)
    with Client(server.port, f"/ws/ada?format=json&token={token('ada')}") as client:
        assert client.recv_json()["type"] == "welcome"
        for _ in range(30):
            for _ in range(100):
                client.send(text(json.dumps({"type": "auth", "token": "x"})))
            assert {client.recv_json()["code"] for _ in range(100)} == {"unauthorized"}
    lines = stopped(server)
    assert count_in(lines, "refused") == 3000
    assert sum("  refused " in line for line in lines) < 3000


def test_a_stream_that_was_closed_is_no_file(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    process = subprocess.Popen(["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', BINARY, "--broker",
                                "sqlite", "--log-level", "debug", "--access-log",
                                f"--listen=127.0.0.1:{address[1]}"],
                               cwd=tmp_path, env=clean_environment())
    try:
        with http_client(f"http://127.0.0.1:{address[1]}") as http:
            wait_until(lambda: can_connect(address))
            assert http.get("/nothing").status_code == 404
        streams = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()
    assert streams == ["/dev/null"] * 3
    assert (tmp_path / "pushwire-data/lock").read_text() == f"{process.pid}\n"
    with sqlite3.connect(tmp_path / "pushwire-data/messages.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def can_connect(address):
    with socket.socket() as sock:
        return sock.connect_ex(address) == 0
