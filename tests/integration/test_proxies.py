"""Behind nginx and HAProxy, by the very configurations that docs/proxies prints."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from frames import CLOSE, PING, PONG, Client, Ended, frame, text
from harness import ROOT, http_client, wait_until
from streams import Events, is_online, poll, session, tell
from test_poll import Waiting

DOCS = ROOT / "docs"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def replaced(text, changes):
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


class Proxy:
    """One that passes on to a server, until the test ends."""

    def __init__(self, folder, name, server, changes):
        self.server, self.port = server, free_port()
        path = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
        command = shutil.which(name, path=path["PATH"])
        if not command:
            pytest.skip(f"{name} is not installed")
        file = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[name]
        text = (DOCS / "proxies" / file).read_text()
        text = replaced(text, {"127.0.0.1:8000": server.address, **changes})
        if name == "nginx":  # in a folder of its own, so that anybody may run it
            temporary = "".join(f"{kind}_temp_path {kind};" for kind in
                                ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            text = replaced(text, {"listen 80": f"listen 127.0.0.1:{self.port}",
                                   "http {": "http { access_log off;" + temporary})
            user = "" if os.geteuid() else "user root root;"  # else another one's, who cannot write
            options = ["-p", folder, "-c", folder / file, "-g",
                       f"daemon off; {user} pid {folder}/pid; error_log {folder}/log;"]
        else:
            text = replaced(text, {"bind :80": f"bind 127.0.0.1:{self.port}"})
            options = ["-db", "-q", "-f", folder / file]
        (folder / file).write_text(text)
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = http_client(self.url, checked=False, headers={"Host": "push.example"})
        self.process = subprocess.Popen([command, *map(str, options)], env=path,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        try:
            wait_until(self.is_up, what=f"{name} to answer")
        except BaseException:
            self.stop()
            raise

    def is_up(self):
        assert self.process.poll() is None, "it ended"
        try:
            return self.http.get("/healthz").status_code == 200
        except OSError:
            return False
        except Exception as error:
            if "onnect" in str(error) or "onnect" in type(error).__name__:
                return False
            raise

    def stop(self):
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def through(tmp_path):
    """through(name, server, changes): a proxy before that server."""
    proxies = []

    def put(name, server, changes=None):
        folder = tmp_path / f"proxy-{len(proxies)}"
        folder.mkdir()
        proxies.append(Proxy(folder, name, server, changes or {}))
        return proxies[-1]

    yield put
    for proxy in proxies:
        proxy.stop()


both = pytest.mark.parametrize("name", ["nginx", "haproxy"])


def test_the_page_prints_the_configurations_that_are_tested():
    page = (DOCS / "proxies.md").read_text()
    blocks = re.findall(r"```\n(.*?)```", page, re.S)
    for block, file in zip(blocks, ("nginx.conf", "haproxy.cfg")):
        _, _, text = (DOCS / "proxies" / file).read_text().partition("\n\n")
        assert block == text


@both
def test_everything_passes(start, through, name):
    server = start()
    proxy = through(name, server)
    answer = proxy.http.post("/send-message", json={
        "sender": "bob", "receiver": "ann", "message": "x" * 60_000}, headers={"X-Request-Id": "r1"})
    assert answer.status_code == 200 and answer.headers["x-request-id"] == "r1"
    with session(server, "ann", "&channels=a&after=0", port=proxy.port) as ws, \
            Events(server, "ann", "channels=a&after=0", port=proxy.port) as sse:
        assert len(ws.recv_json()["message"]) == len(sse.message()["message"]) == 60_000
        for n in range(50):  # each at once: nothing is held back
            sent = tell(server, n, **[{"receiver": "ann"}, {"channel": "a"}][n % 2])
            assert sent["delivered"] == 2
            assert ws.recv_json()["id"] == sse.message()["id"] == sent["id"]
        assert ws.alive()
        with Waiting(server, "ann", f"after={sent['id']}&wait=20", port=proxy.port) as one:
            wait_until(lambda: server.metric("sessions", transport="poll") == 1)
            sent = tell(server, "to all three", receiver="ann")
            assert [m["id"] for m in one.page()["messages"]] == [sent["id"]]
        assert ws.recv_json()["id"] == sse.message()["id"] == sent["id"]
    assert poll(server, "ann", url=proxy.url, after=sent["id"], wait=1)["next"] == sent["id"]
    with Events(server, "ann", headers=[f"Last-Event-ID: {int(sent['id']) - 1}"],
                port=proxy.port) as sse:
        assert sse.messages(1) == ["to all three"]


@both
def test_a_batch_of_two_megabytes_passes(start, through, name):
    server = start()
    line = json.dumps({"sender": "bob", "receiver": "ann", "message": "x" * 10_000}) + "\n"
    answer = through(name, server).http.post("/send-messages", content=line * 200, headers={
        "Content-Type": "application/x-ndjson"})
    assert (answer.status_code, answer.text.count("\n")) == (200, 200)


@both
def test_subprotocols_close_codes_and_rooms_pass(start, through, name):
    server = start()
    proxy = through(name, server)
    with Client(proxy.port, "/ws/ann", {"Sec-WebSocket-Protocol": "x, pushwire.v1.json"}) as ws, \
            Events(server, "ann", port=proxy.port) as sse:
        assert ws.answer.headers["sec-websocket-protocol"] == "pushwire.v1.json"
        assert ws.recv_json()["type"] == "welcome"
        server.http.delete("/users/ann/sessions")
        assert ws.recv_close().code == 4403
        assert sse.next().event == "bye"
    with Client(proxy.port, "/ws") as one, Client(proxy.port, "/ws") as two:
        wait_until(lambda: server.http.get("/channels/lobby").json()["sessions"] == 2)
        one.send(text("hi"))
        assert one.recv().text == two.recv().text == "hi"


@both
@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
def test_who_leaves_the_proxy_is_noticed(start, through, name, transport):
    server = start()
    proxy = through(name, server)
    open_one = {"websocket": lambda: session(server, "ann", port=proxy.port),
                "sse": lambda: Events(server, "ann", port=proxy.port),
                "poll": lambda: Waiting(server, "ann", "wait=50", port=proxy.port)}[transport]
    with open_one():
        wait_until(lambda: is_online(server, "ann"))
    wait_until(lambda: not is_online(server, "ann"), 3)


@both
def test_a_stop_is_told_through_the_proxy(start, through, name):
    server = start()
    proxy = through(name, server)
    with session(server, "ann", port=proxy.port) as ws, \
            Events(server, "ann", port=proxy.port) as sse:
        server.signal(signal.SIGTERM)
        assert ws.recv_json()["code"] == "stopping"
        ws.expect_close(1001)
        assert sse.rest()[-1].json["code"] == "stopping"
    assert server.wait() == 0
    assert proxy.http.get("/healthz").status_code in (502, 503)


SHORT = {"nginx": {"proxy_read_timeout 60s": "proxy_read_timeout 2s"},
         "haproxy": {"timeout client 60s": "timeout client 2s",
                     "timeout server 60s": "timeout server 2s",
                     "timeout tunnel 60s": "timeout tunnel 2s"}}


@both
def test_heartbeats_carry_an_idle_session_over_the_proxy_s_time_out(start, through, name):
    server = start("--heartbeat", "1s")
    silent = start("--heartbeat", "10m")
    proxy, cutting = through(name, server, SHORT[name]), through(name, silent, SHORT[name])
    with session(server, "ann", port=proxy.port) as ws, \
            session(silent, "ann", port=cutting.port) as cut:
        end = time.monotonic() + 4
        while time.monotonic() < end:  # idle, but for pongs
            got = ws.recv()
            assert got.opcode == PING
            ws.send(frame(PONG, got.payload))
        with pytest.raises(Ended):  # the time-out is real
            while cut.recv().opcode != CLOSE:
                pass
        tell(server, "still here", receiver="ann")
        assert ws.recv_json()["message"] == "still here"


@pytest.mark.long
@both
def test_comments_carry_an_idle_stream_over_the_proxy_s_time_out(start, through, name):
    server = start()
    changes = {old: new.replace("2s", "18s") for old, new in SHORT[name].items()}
    proxy = through(name, server, changes)
    with Events(server, "ann", port=proxy.port) as sse:
        sse.socket.settimeout(30)
        for _ in range(3):
            assert sse.next(comments=True).comment
        tell(server, "still here", receiver="ann")
        assert sse.messages(1) == ["still here"]
