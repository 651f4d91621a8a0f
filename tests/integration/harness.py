"""The server under test, and how to talk to it.

Tests wait for what they expect, never for time to pass: every helper has a deadline and fails
loudly when it is over. PUSHWIRE_BIN names the server (build/pushwire), PUSHWIRE_LOAD scales loads
(1.0), PUSHWIRE_WORKERS gives every server that many threads (1), PUSHWIRE_BROKER its broker
(sqlite), where the test itself names none.
"""

import asyncio
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import httpcore
import httpx
import websockets

from contract import CONTRACT, Conversation
from witness import processor_seconds

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.path.abspath(os.environ.get("PUSHWIRE_BIN", ROOT / "build" / "pushwire"))
LOAD = float(os.environ.get("PUSHWIRE_LOAD", "1.0"))
WORKERS = int(os.environ.get("PUSHWIRE_WORKERS", "1"))
BROKER = os.environ.get("PUSHWIRE_BROKER", "sqlite")
DURABLE = BROKER != "memory"  # of servers whose broker the test does not name

# Seconds. Generous: sanitizers and busy machines are slow, and only failures wait this long.
DEADLINE = 20.0

SANITIZER_WORDS = ("Sanitizer", "runtime error", "Assertion")


def scaled(count, least=1):
    """A load, scaled by PUSHWIRE_LOAD."""
    return max(least, int(count * LOAD))


def clean_environment(**more):
    """The environment for a server: it refuses variables of its own prefix that it does not know."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PUSHWIRE_")}
    return {**kept, **more}


def wait_until(predicate, deadline=DEADLINE, what=None):
    """Waits until predicate() is true and returns what it gave."""
    end = time.monotonic() + deadline
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what or predicate}")
        time.sleep(0.005)


def run(coroutine, deadline=3 * DEADLINE):
    """Runs a coroutine to its end, within a deadline."""
    return asyncio.run(asyncio.wait_for(coroutine, deadline))


def run_binary(*args, env=None, cwd=None, deadline=DEADLINE):
    """Runs the binary to its end: for what prints and exits."""
    return subprocess.run([BINARY, *args], capture_output=True, text=True, cwd=cwd,
                          stdin=subprocess.DEVNULL, timeout=deadline,
                          env=clean_environment(**(env or {})))


class PromptBackend(httpcore.backends.sync.SyncBackend):
    """httpx sends head and body apart and leaves Nagle's algorithm on: 40 ms a request."""

    def connect_tcp(self, *args, **options):
        stream = super().connect_tcp(*args, **options)
        stream.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream


class CheckedClient(httpx.Client):
    """One whose exchanges are held against docs/api."""

    def send(self, request, *, stream=False, **options):
        answer = super().send(request, stream=stream, **options)
        sent = None if isinstance(request.stream, httpx.SyncByteStream) and \
            not hasattr(request, "_content") else request.content
        CONTRACT.exchange(request.method, request.url.raw_path.decode(), request.headers, sent,
                          answer.status_code, dict(answer.headers),
                          None if stream else answer.content)
        return answer


class CheckedSocket(websockets.WebSocketClientProtocol):
    """One whose frames are held against docs/api."""

    conversation = None

    def _conversation(self):
        if not self.conversation:
            self.conversation = Conversation(self.path, self.subprotocol)
        return self.conversation

    async def recv(self):
        data = await super().recv()
        if isinstance(data, str):
            self._conversation().heard(data)
        return data

    async def send(self, message):
        if isinstance(message, str):
            self._conversation().spoke(message)
        await super().send(message)


def http_client(url, checked=True, **options):
    """An httpx client that knows only this server; checked=False where it is not the JSON API."""
    transport = httpx.HTTPTransport(retries=0)
    transport._pool = httpcore.ConnectionPool(network_backend=PromptBackend())
    make = CheckedClient if checked else httpx.Client
    return make(base_url=url, timeout=DEADLINE, trust_env=False, transport=transport, **options)


class Server:
    """A running server in a fresh folder, on a free port.

    args are added to its command line, env to its environment; wrapper is a command it is run by.
    """

    def __init__(self, folder, *args, env=None, wrapper=(), listen="127.0.0.1:0"):
        self.folder = pathlib.Path(folder)
        self.log = []  # the lines of its stderr so far
        self.stopped = False
        self.told_to_stop = False
        command = [*wrapper, BINARY, "--listen", listen]
        if not any(str(a).startswith("--workers") for a in args):
            command.append(f"--workers={WORKERS}")
        if not any(str(a).startswith("--broker") for a in args):
            command.append(f"--broker={BROKER}")
        command += [str(a) for a in args]
        self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env=clean_environment(**(env or {})))
        self._pump = threading.Thread(target=self._read_log, daemon=True)
        self._pump.start()
        try:
            ready = wait_until(self._find_ready, what="the line `ready`")
        except AssertionError:
            self.kill()
            raise
        self.address = ready
        self.host, _, port = ready.rpartition(":")
        self.port = int(port)
        self.url = f"http://{ready}"
        self.http = http_client(self.url)

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line.decode("utf-8", "replace").rstrip("\n"))

    def _find_ready(self):
        for line in self.log:
            found = re.search(r'\bready"?[ ,].*listen"?[=:]"?(\S+?:\d+)', line)
            if found:
                return found.group(1)
        ended = self.process.poll()
        if ended is not None:
            self._pump.join(DEADLINE)
            raise AssertionError(f"the server ended with {ended}:\n{self.log_text()}")
        return None

    @property
    def pid(self):
        return self.process.pid

    def log_text(self):
        return "\n".join(self.log)

    # ---- talking to it ----

    def ws_url(self, path):
        return f"ws://{self.address}{path}"

    def ws(self, path, **options):
        """`async with server.ws("/ws/alice") as socket`; form="json" picks the subprotocol."""
        form = options.pop("form", None)
        if form:
            options["subprotocols"] = [f"pushwire.v1.{form}"]
        options.setdefault("open_timeout", DEADLINE)
        options.setdefault("close_timeout", DEADLINE)
        options.setdefault("ping_interval", None)
        options.setdefault("create_protocol", CheckedSocket)
        return websockets.connect(self.ws_url(path), **options)

    def send(self, receiver="alice", message="hi", sender="bob", **fields):
        """Sends a message and returns the answer, which must be 200."""
        where = {"receivers": receiver} if isinstance(receiver, list) else {"receiver": receiver}
        answer = self.http.post("/send-message",
                                json={"sender": sender, **where, "message": message, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def metrics(self):
        """Every sample of /metrics by its name as printed: {'pushwire_open_fds': 23.0, …}."""
        answer = self.http.get("/metrics")
        assert answer.status_code == 200, answer.text
        samples = {}
        for line in answer.text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def metric(self, name, **labels):
        """The sum of the samples of pushwire_<name> that have these labels; 0 without any."""
        total = 0.0
        for sample, value in self.metrics().items():
            plain, _, rest = sample.partition("{")
            if plain == f"pushwire_{name}" and all(f'{k}="{v}"' in rest for k, v in labels.items()):
                total += value
        return total

    def published(self):
        """How many messages the broker has taken: the witness that something ran, or did not."""
        return self.metric("published_total")

    def connect(self):
        """A TCP connection to it, with a timeout."""
        made = socket.create_connection((self.host.strip("[]"), self.port), timeout=DEADLINE)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    # ---- ending it ----

    def signal(self, number):
        self.told_to_stop |= number in (signal.SIGTERM, signal.SIGINT)
        self.process.send_signal(number)

    def wait(self, deadline=DEADLINE):
        """Waits for its end; returns the exit code."""
        try:
            code = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server does not end:\n{self.log_text()}") from None
        self._pump.join(DEADLINE)
        self.http.close()
        self.stopped = True
        return code

    def check_log(self):
        for word in SANITIZER_WORDS:
            assert word not in self.log_text(), self.log_text()

    def stop(self, deadline=DEADLINE):
        """Stops it gracefully; its loop must end empty, which exit code 0 says."""
        if not self.stopped:
            if not self.told_to_stop:  # a second signal would end it at once
                self.signal(signal.SIGTERM)
            code = self.wait(deadline)
            assert code == 0, f"exit code {code}:\n{self.log_text()}"
        self.check_log()

    def kill(self):
        """Ends it without a chance, as kill -9 does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._pump.join(DEADLINE)
        if hasattr(self, "http"):
            self.http.close()
        self.stopped = True


# ---- raw sockets ----

def read_until_close(sock, deadline=DEADLINE):
    """All bytes until the other side closes. A reset counts as a close."""
    end = time.monotonic() + deadline
    received = b""
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise AssertionError(f"not closed within {deadline} s, got {received!r}")
        sock.settimeout(left)
        try:
            more = sock.recv(65536)
        except socket.timeout:
            continue
        except ConnectionError:
            return received
        if not more:
            return received
        received += more


def raw(server, data, deadline=DEADLINE):
    """Sends these bytes on a new connection; returns what comes until the server closes."""
    with server.connect() as sock:
        try:
            sock.sendall(data)
        except ConnectionError:
            pass  # it may refuse before it has read everything
        return read_until_close(sock, deadline)


class Answer:
    """One HTTP answer as received."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # names in lower case
        self.body = body

    def __repr__(self):
        return f"Answer({self.status}, {self.headers}, {self.body!r})"


class AnswerReader:
    """Reads the answers of one connection, one after the other."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def _more(self, deadline):
        self.sock.settimeout(deadline)
        got = self.sock.recv(65536)
        if not got:
            raise EOFError(f"closed in the middle of an answer: {self.buffer!r}")
        self.buffer += got

    def next(self, deadline=DEADLINE, head_only=False):
        while b"\r\n\r\n" not in self.buffer:
            self._more(deadline)
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        size = int(headers.get("content-length", "0"))
        if head_only or status < 200 or status in (204, 304):
            size = 0
        while len(self.buffer) < size:
            self._more(deadline)
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        if size:
            CONTRACT.judge_problem(f"-> {status}", status, headers, body)
        return Answer(status, headers, body)


def answers_of(data):
    """The status codes of all answers in these bytes."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def request(method="GET", target="/healthz", *headers, host="localhost", body=None,
            version="HTTP/1.1"):
    """The bytes of a request. headers are whole lines; a body brings its Content-Length."""
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += headers
    if body is not None:
        body = body if isinstance(body, bytes) else body.encode()
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def rests(server):
    """Whatever was done to it, it takes nothing of the processor when that is over."""
    before = processor_seconds(server)
    time.sleep(0.2)
    return processor_seconds(server) - before < 0.1


@contextlib.contextmanager
def serving(folder, *args, **options):
    """A server that must come to rest, and stop as it should at the end."""
    made = Server(folder, *args, **options)
    try:
        yield made
        wait_until(lambda: made.process.poll() is not None or rests(made), what="it to rest")
        made.stop()
    finally:
        made.kill()
        print(f"--- log of the server {made.address}\n{made.log_text()}")
