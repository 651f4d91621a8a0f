"""Starting, stopping, being frozen."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from harness import (BINARY, DEADLINE, AnswerReader, answers_of, clean_environment, http_client,
                     read_until_close, request, run, wait_until)

pytestmark = pytest.mark.workers

BODY = b'{"sender":"bob","receiver":"alice","message":"hi"}'


async def closing_of(socket, deadline=DEADLINE):
    """The frames until the close."""
    frames = []
    try:
        while True:
            frames.append(await asyncio.wait_for(socket.recv(), deadline))
    except Exception as end:
        assert "ConnectionClosed" in repr(type(end).__mro__), repr(end)
    return frames


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_sends_receivers_away(start, number):
    server = start("--retry-spread", "3s")

    async def scenario():
        async with server.ws("/ws/alice", form="json") as app, server.ws("/ws/alice") as text:
            await app.recv()
            server.signal(number)
            frames = await closing_of(app)
            await closing_of(text)
            return json.loads(frames[-1]), app.close_code, text.close_code

    bye, app_code, text_code = run(scenario())
    assert (bye["type"], bye["code"]) == ("bye", "stopping")
    assert 0 <= bye["retry_ms"] <= 3000 + 1000
    assert (app_code, text_code) == (1001, 1001)
    assert server.wait() == 0
    assert any("stopping" in line for line in server.log)
    assert " stopped" in server.log[-1]


def test_receivers_come_back_at_different_times(start):
    server = start("--retry-spread", "5s")

    async def scenario():
        sockets = [await server.ws(f"/ws/u{i}", form="json") for i in range(20)]
        server.signal(signal.SIGTERM)
        frames = await asyncio.gather(*[closing_of(s) for s in sockets])
        return {json.loads(f[-1])["retry_ms"] for f in frames}

    spread = run(scenario())
    assert len(spread) > 10
    assert max(spread) - min(spread) > 1000


def test_what_was_sent_before_the_signal_arrives(start):
    server = start()

    async def scenario():
        async with server.ws("/ws/alice") as tab:
            for i in range(100):
                server.send("alice", i)
            server.signal(signal.SIGTERM)
            return await closing_of(tab)

    assert run(scenario()) == [f"[bob]: {i}" for i in range(100)]


def test_a_request_that_is_on_its_way_is_answered(start):
    server = start()
    with server.connect() as kept, server.connect() as half:
        kept_answers = AnswerReader(kept)
        kept.sendall(request())
        assert kept_answers.next().status == 200
        data = request("POST", "/send-message", body=BODY)
        half.sendall(data[:-10])
        half_answers = AnswerReader(half)
        wait_until(lambda: server.metric("http_connections") == 3)
        server.signal(signal.SIGTERM)
        wait_until(lambda: any("stopping" in line for line in server.log))
        half.sendall(data[-10:])
        answer = half_answers.next()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert read_until_close(kept) == b""
    assert server.wait() == 0


def test_requests_already_in_the_kernel_are_answered(start):
    """Frozen, signalled, and sent requests: on waking it reads them, and answers."""
    server = start()
    with server.connect() as sock:
        answers = AnswerReader(sock)
        sock.sendall(request())
        assert answers.next().status == 200
        server.signal(signal.SIGSTOP)
        sock.sendall(request("POST", "/send-message", body=BODY) * 3)
        new = server.connect()  # waits in the backlog
        new.sendall(request("POST", "/send-message", body=BODY))
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGCONT)
        assert answers.next().status == 200
        assert AnswerReader(new).next().status == 200
        new.close()
    assert server.wait() == 0


def test_nobody_in_the_backlog_is_reset(start):
    """More of them than are let in at once."""
    server = start()
    with contextlib.ExitStack() as stack:
        server.signal(signal.SIGSTOP)
        waiting = [stack.enter_context(server.connect()) for _ in range(200)]
        for sock in waiting:
            sock.sendall(request("POST", "/send-message", body=BODY))
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGCONT)
        assert [AnswerReader(sock).next().status for sock in waiting] == [200] * 200
    assert server.wait() == 0


def test_it_says_that_it_is_not_ready_before_it_stops(start):
    server = start("--drain-delay", "1s")
    assert server.http.get("/readyz").status_code == 200
    server.signal(signal.SIGTERM)
    answer = wait_until(lambda: not_ready(server))
    assert answer.json()["code"] == "stopping"
    # Meanwhile everything is served, and new connections are taken.
    assert server.http.get("/healthz").status_code == 200
    assert server.send()["kept"]
    with server.connect() as sock:
        sock.sendall(request())
        assert AnswerReader(sock).next().status == 200
    assert server.wait() == 0


def not_ready(server):
    answer = server.http.get("/readyz")
    return answer if answer.status_code == 503 else None


def test_once_it_stops_no_connection_is_taken(start):
    server = start("--drain", "5s", "--request-timeout", "3s")
    with server.connect() as half:
        half.sendall(request("POST", "/send-message", body=BODY)[:-10])
        wait_until(lambda: server.metric("http_connections") == 2)
        server.http.close()
        server.signal(signal.SIGTERM)

        def refused():
            try:
                server.connect().close()
            except ConnectionRefusedError:
                return True

        wait_until(refused)
        assert server.process.poll() is None
    assert server.wait() == 0


def test_stragglers_are_cut_when_the_drain_is_over(start):
    server = start("--drain", "1s")
    with server.connect() as half, server.connect() as deaf:
        half.sendall(request("POST", "/send-message", body=BODY)[:-10])
        deaf.sendall(request("GET", "/ws/alice", "Connection: Upgrade", "Upgrade: websocket",
                             "Sec-WebSocket-Version: 13",
                             "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="))
        assert AnswerReader(deaf).next().status == 101
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0  # neither of them answers
        assert 0.9 < time.monotonic() - began < 5


def test_a_second_signal_ends_it_at_once(start):
    # At once means in the middle of its threads, which the thread sanitizer would tell.
    options = os.environ.get("TSAN_OPTIONS", "") + " report_thread_leaks=0"
    server = start("--drain", "1m", env={"TSAN_OPTIONS": options})
    with server.connect() as half:
        half.sendall(b"GET / HT")
        wait_until(lambda: server.metric("http_connections") == 2)
        server.signal(signal.SIGTERM)
        wait_until(lambda: any("stopping" in line for line in server.log))
        server.signal(signal.SIGTERM)
        assert server.wait(5) == 128 + signal.SIGTERM


def test_sighup_does_not_end_it(start):
    server = start()
    server.signal(signal.SIGHUP)
    wait_until(lambda: any("reloaded" in line for line in server.log))
    assert server.send()["kept"]


def test_it_stops_under_load(start):
    """Whoever got a 200 was heard; whoever did not was told, or cut off cleanly."""
    server = start()

    async def scenario():
        async with server.ws("/ws/alice") as tab:
            socks = [server.connect() for _ in range(10)]
            for number, sock in enumerate(socks):
                sock.sendall(b"".join(
                    request("POST", "/send-message",
                            body=f'{{"sender":"b{number}","receiver":"alice","message":{i}}}')
                    for i in range(50)))
            server.signal(signal.SIGTERM)
            answers = await asyncio.gather(*[asyncio.to_thread(read_until_close, sock)
                                             for sock in socks])
            for sock in socks:
                sock.close()
            return answers, await closing_of(tab)

    answers, frames = run(scenario())
    assert server.wait() == 0
    told = sum(answers_of(answer).count(200) for answer in answers)
    assert len(frames) <= 500
    # A message may be published after the session had its bye, never the other way round.
    assert told >= len(frames)


@pytest.mark.parametrize("seconds", [3, pytest.param(8, marks=pytest.mark.long)])
def test_a_frozen_server_drops_nobody_when_it_wakes(start, seconds):
    server = start("--heartbeat", "1s", "--keepalive", "2s", "--request-timeout", "2s")

    async def scenario():
        async with server.ws("/ws/alice", form="json") as tab:
            await tab.recv()
            with server.connect() as slow:
                data = request("POST", "/send-message", body=BODY)
                slow.sendall(data[:-10])
                wait_until(lambda: server.metric("http_connections") == 2)
                server.signal(signal.SIGSTOP)
                await asyncio.sleep(seconds)  # this is what is being tested
                server.signal(signal.SIGCONT)
                slow.sendall(data[-10:])
                assert json.loads(await tab.recv())["message"] == "hi"
                assert AnswerReader(slow).next().status == 200
            await asyncio.to_thread(server.send, "alice", "still here")
            assert json.loads(await tab.recv())["message"] == "still here"

    run(scenario())
    assert server.metric("closed_total", reason="no_heartbeat") == 0


def test_a_port_can_be_used_again_at_once(start):
    server = start()
    with server.connect() as sock:
        sock.sendall(request())
        AnswerReader(sock).next()
        server.stop()
        again = start(listen=f"127.0.0.1:{server.port}")
        assert again.port == server.port


def test_workers_share_the_port(start):
    server = start("--workers", "2")
    socks = []
    for _ in range(40):
        sock = server.connect()
        sock.sendall(request())
        assert AnswerReader(sock).next().status == 200
        socks.append(sock)
    for sock in socks:
        sock.close()


def test_it_survives_a_closed_standard_error(tmp_path):
    """Whoever reads the log may go away."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    reading, writing = os.pipe()
    process = subprocess.Popen([BINARY, "--listen", f"127.0.0.1:{port}", "--access-log"],
                               cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=writing,
                               env=clean_environment())
    os.close(writing)
    assert b"ready" in read_until_ready(reading)
    os.close(reading)
    try:
        with http_client(f"http://127.0.0.1:{port}") as client:
            for _ in range(3):
                assert client.get("/healthz").status_code == 200
        process.terminate()
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()


def read_until_ready(reading):
    text = b""
    while b"ready" not in text:
        more = os.read(reading, 65536)
        assert more, text
        text += more
    return text
