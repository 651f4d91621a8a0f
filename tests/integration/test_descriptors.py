"""Out of descriptors: those who are here stay, new ones wait or hear 503, and all is well again as
soon as there is room."""

import asyncio
import contextlib
import re
import subprocess
import time

import pytest
import websockets

from disk import skip_with_sanitizers
from harness import BINARY, AnswerReader, clean_environment, http_client, request, run, wait_until
from library import SCARCE

LIMIT = 64


@pytest.fixture
def small(start):
    return start("--keepalive", "75s", "--workers", "1",
                 wrapper=["sh", "-c", f'ulimit -n {LIMIT}; exec "$@"', "sh"])


@pytest.mark.parametrize("workers", [1, 3])
def test_it_runs_with_few_or_says_how_many_it_takes(start, tmp_path, workers):
    def limited(limit):
        return ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh"]

    for limit in (12, 16, 20, 24, 32):
        done = subprocess.run([*limited(limit), BINARY, "--listen=127.0.0.1:0",
                               f"--workers={workers}"], cwd=tmp_path, capture_output=True, text=True,
                              env=clean_environment(), check=False)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert "too few descriptors" in line and f"limit={limit} " in line
    needed = re.search(r"needed=(\d+)", line).group(1)
    server = start("--workers", workers, wrapper=limited(needed))
    assert server.send()["id"]
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            sock = stack.enter_context(server.connect())
            sock.sendall(request())
            assert AnswerReader(sock).next().status == 200


def cpu_seconds(server):
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def open_many(server, count):
    """Sessions until it has no more room: those that opened, and how the others ended."""
    opened, refused = [], []
    for i in range(count):
        try:
            opened.append(await asyncio.wait_for(server.ws(f"/ws/u{i}", open_timeout=3), 4))
        except websockets.InvalidStatusCode as answer:
            refused.append(answer.status_code)
        except (asyncio.TimeoutError, OSError, websockets.InvalidHandshake, EOFError):
            refused.append(None)
            if refused.count(None) > 2:
                break
    return opened, refused


def test_sessions_beyond_the_limit_get_503_and_the_others_stay(small):
    async def scenario():
        opened, refused = await open_many(small, 80)
        assert len(opened) >= 20, refused
        assert refused and set(refused) <= {503, None}
        # Those who are here are served, and HTTP still gets in.
        client = http_client(small.url)
        for i in (0, len(opened) - 1):
            answer = await asyncio.to_thread(client.post, "/send-message", json={
                "sender": "bob", "receiver": f"u{i}", "message": "hi"})
            assert answer.json()["delivered"] == 1
            assert await opened[i].recv() == "[bob]: hi"
        client.close()
        # One goes, one comes.
        await opened.pop().close()
        await asyncio.to_thread(wait_until, lambda: small.metric("sessions") == len(opened))
        late = await small.ws("/ws/late")
        await late.close()
        for socket in opened:
            await socket.close()

    run(scenario())
    assert small.metric("refused_total", code="too_many_sessions") > 0
    wait_until(lambda: small.metric("sessions") == 0)
    assert small.send()["kept"]


def test_idle_connections_make_room_for_new_ones(small):
    """Far more keep-alive clients than descriptors: the longest idle ones are let go."""
    socks = []
    for _ in range(150):
        sock = small.connect()
        sock.sendall(request())
        assert AnswerReader(sock).next().status == 200
        socks.append(sock)
    for sock in socks:
        sock.close()
    assert small.send()["kept"]


def test_connections_that_say_nothing_make_room(start):
    server = start("--head-timeout", "60s", "--keepalive", "60s", "--workers", "1",
                   wrapper=["sh", "-c", f'ulimit -n {LIMIT}; exec "$@"', "sh"])
    server.http.close()
    with contextlib.ExitStack() as stack:
        for _ in range(2 * LIMIT):
            stack.enter_context(server.connect())
        server.http = http_client(server.url)
        assert server.send()["kept"]


def test_connections_that_say_nothing_do_not_end_the_service(small):
    before = small.metric("open_fds")
    small.http.close()
    socks = [small.connect() for _ in range(120)]
    began, used = time.monotonic(), cpu_seconds(small)
    while time.monotonic() - began < 1.5:
        time.sleep(0.1)
    assert cpu_seconds(small) - used < 0.5, "it spins"
    for sock in socks:
        sock.close()
    small.http = http_client(small.url)
    assert small.send()["kept"]
    wait_until(lambda: small.metric("open_fds") <= before + 1)


def test_those_who_wait_are_served_when_others_leave(small):
    small.http.close()
    silent = [small.connect() for _ in range(LIMIT)]
    waiting = small.connect()
    waiting.sendall(request())
    for sock in silent:
        sock.close()
    assert AnswerReader(waiting).next().status == 200
    waiting.close()
    small.http = http_client(small.url)


def test_max_sessions_is_503(start):
    server = start("--max-sessions", "2", "--workers", "1")

    async def scenario():
        async with server.ws("/ws/a"), server.ws("/ws/b"):
            with pytest.raises(websockets.InvalidStatusCode) as refused:
                await server.ws("/ws/c")
            assert refused.value.status_code == 503
        await asyncio.to_thread(wait_until, lambda: server.metric("sessions") == 0)
        async with server.ws("/ws/c"):
            pass

    run(scenario())


@pytest.mark.parametrize("flag", ["--max-sessions-per-user", "--max-sessions-per-ip"])
def test_too_many_sessions_of_one_user_or_address_are_closed_with_4429(start, flag):
    server = start(flag, "2")

    async def scenario():
        async with server.ws("/ws/a"), server.ws("/ws/a"):
            third = await server.ws("/ws/a")
            await asyncio.wait_for(third.wait_closed(), 10)
            assert third.close_code == 4429
        await asyncio.to_thread(wait_until, lambda: server.metric("sessions") == 0)
        async with server.ws("/ws/a") as again:
            await asyncio.to_thread(server.send, "a")
            assert await again.recv() == "[bob]: hi"

    run(scenario())


def test_the_limit_is_raised_to_what_is_allowed(start):
    server = start(wrapper=["sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh"])
    assert server.metric("max_fds") > 64


@pytest.mark.parametrize("scarce", [
    "getrandom:1", "epoll_create1:1", "eventfd:1", "eventfd:2", "eventfd:3", "epoll_create1:2",
    "epoll_create1:3", "pthread_create:1", "pthread_create:2", "pthread_create:3"])
def test_what_a_start_cannot_do_without_is_said_in_one_line(scarce, tmp_path):
    """A kernel that refuses is no mistake of ours, so nothing asserts."""
    if not SCARCE.exists():
        pytest.skip(f"{SCARCE} is not there: the build has no tests")
    skip_with_sanitizers()
    done = subprocess.run([BINARY, "--listen=127.0.0.1:0", "--workers=1"], cwd=tmp_path, check=False,
                          capture_output=True, text=True, timeout=20,
                          env=clean_environment(LD_PRELOAD=str(SCARCE), SCARCE=scarce))
    assert done.returncode == 1, done.stderr
    [line] = [line for line in done.stderr.splitlines()
              if line.startswith("pushwire: ") or " error " in line]
    assert "ssert" not in done.stderr
    assert line
