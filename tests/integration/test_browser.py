"""A real browser: headless Chromium, driven by its DevTools protocol."""

import http.server
import json
import os
import shutil
import subprocess
import threading
import time

import pytest

from frames import CLOSE, Client, text
from harness import DEADLINE, ROOT, wait_until
from test_proxies import through  # noqa: F401, a fixture

TUTORIAL = """<!doctype html><title>tutorial</title><ul id="list"></ul><script>
const socket = new WebSocket('ws://SERVER/ws/alice');
socket.onopen = () => { document.title = 'open'; };
socket.onclose = event => { document.title = 'closed ' + event.code; };
socket.onmessage = event => {
  const li = document.createElement('li');
  li.textContent = event.data;
  document.getElementById('list').append(li);
};
async function send(message) {
  const response = await fetch('http://SERVER/send-message', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ sender: 'bob', receiver: 'alice', message }),
  });
  return (await response.json()).status;
}
async function tricks() {  // what needs no leave to be sent
  const url = 'http://SERVER/send-message';
  const body = JSON.stringify({ sender: 'evil', receiver: 'alice', message: 'evil' });
  const plain = { method: 'POST', mode: 'no-cors', body };
  const kinds = ['text/plain', 'application/x-www-form-urlencoded'];
  for (const kind of kinds)
    await fetch(url, { ...plain, headers: { 'Content-Type': kind } }).catch(() => {});
  await fetch(url, { ...plain, body: new Blob([body]) }).catch(() => {});
  navigator.sendBeacon(url, body);
  return fetch('http://SERVER/users/alice').then(r => r.text()).catch(() => 'unreadable');
}
</script>"""


class Browser:
    """One process of Chromium; its pages are `tabs`."""

    def __init__(self, folder):
        command = shutil.which("chromium") or shutil.which("chromium-browser")
        if not command:
            pytest.skip("chromium is not installed")
        self.log = open(folder / "log", "w+b")
        self.process = subprocess.Popen(
            [command, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
             "--host-resolver-rules=MAP evil.example 127.0.0.1", "--lang=en-US",
             "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
            env={**os.environ, "LANGUAGE": "en"})
        self.number = 0
        self.events = []
        try:
            port = wait_until(lambda: self._find_port(folder / "DevToolsActivePort"), 60,
                              "Chromium's DevToolsActivePort")
        except AssertionError:
            self.close()
            raise
        self.client = Client(int(port[0]), port[1], timeout=2 * DEADLINE)

    def _find_port(self, path):
        if self.process.poll() is not None:
            self.log.seek(0)
            raise AssertionError(f"Chromium ended: {self.log.read()[-2000:]}")
        lines = path.read_text().split("\n") if path.exists() else []
        return lines if len(lines) == 2 and lines[1] else None

    def close(self):
        try:
            os.killpg(self.process.pid, 15)
            self.process.wait(DEADLINE)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.log.close()

    def call(self, method, session=None, **params):
        self.number += 1
        command = {"id": self.number, "method": method, "params": params}
        if session:
            command["sessionId"] = session
        self.client.send(text(json.dumps(command)))
        while True:
            got = self.client.recv_data()
            assert got.opcode != CLOSE, got
            answer = got.json
            if answer.get("id") == self.number:
                if "navigated" in answer.get("error", {}).get("message", ""):
                    raise Left(answer)
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)


class Left(AssertionError):
    """The page was left while it was asked something."""


class Tab:
    def __init__(self, browser, url):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target,
                                    flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log":
            browser.call(f"{domain}.enable", self.session)
        self.go(url)

    def go(self, url):
        self.browser.call("Page.navigate", self.session, url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.browser.call("Target.closeTarget", targetId=self.target)

    def run(self, script):
        """The value of an expression in the page; a promise is awaited."""
        got = self.browser.call("Runtime.evaluate", self.session, expression=script,
                                awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def until(self, script):
        def look():
            time.sleep(0.02)
            try:
                return self.run(script)
            except Left:
                return False
        return wait_until(look, DEADLINE, script)

    def complaints(self):
        """What the console shows as warning or error, and exceptions."""
        self.run("1")
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"]["text"])
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(params["entry"]["text"])
            elif (event["method"] == "Runtime.consoleAPICalled"
                  and params["type"] in ("error", "warning", "assert")):
                found.append(str(params["args"]))
        return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(tmp_path_factory.mktemp("chromium"))
    yield made
    made.close()


@pytest.fixture
def pages():
    """Another web server on this machine: pages(server) tells its port."""
    servers = []

    def serve(pushwire):
        page = TUTORIAL.replace("SERVER", f"localhost:{pushwire.port}").encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *args):
                pass

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1].server_address[1]

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


ONLINE = "document.querySelector('[data-state=online]') !== null"
LOG = "document.getElementById('log').innerText"


def shows(tab, words):
    tab.until(f"{LOG}.includes({json.dumps(words)})")


@pytest.fixture
def small(through):
    """small(server): the address of the small page before that server, which may have the other one."""
    page = f"""location = / {{
            root {ROOT}/frontend/small;
            default_type text/html;
            try_files /index.html =404;
        }}
        location / {{"""
    return lambda server: through("nginx", server, {"location / {": page}).url


def curl(server, message):
    """As the README does it."""
    body = json.dumps({"sender": "bob", "receiver": "alice", "message": message})
    done = subprocess.run(["curl", "-sS", f"localhost:{server.port}/send-message", "-d", body],
                          capture_output=True, text=True, timeout=DEADLINE)
    assert '"status":"Message sent"' in done.stdout, done
    return json.loads(done.stdout)


def test_the_small_page_shows_what_curl_sends_and_sends_itself(browser, start, small):
    server = start()
    curl(server, "before anybody came")
    with Tab(browser, small(server)) as tab:
        tab.until(ONLINE)
        shows(tab, "before anybody came")
        assert curl(server, "hi, page")["delivered"] == 1
        shows(tab, "hi, page")
        tab.run("""document.getElementById('to').value = 'alice';
                   document.getElementById('message').value = 'to <b>myself</b>';
                   document.querySelector('#send-form button').click()""")
        shows(tab, "to <b>myself</b>")
        tab.until("document.getElementById('answer').textContent.includes('1 session')")
        assert server.published() == 3
        assert tab.complaints() == []


def test_every_tab_shows_it(browser, start, small):
    server = start()
    url = small(server)
    with Tab(browser, url) as one, Tab(browser, url + "/?user=alice") as two:
        one.until(ONLINE)
        two.until(ONLINE)
        assert curl(server, "for both")["delivered"] == 2
        shows(one, "for both")
        shows(two, "for both")
        two.run("document.getElementById('toggle').click()")
        wait_until(lambda: curl(server, "for one")["delivered"] == 1)
        shows(one, "for one")
        assert one.complaints() == two.complaints() == []


def test_the_small_page_survives_a_restart(browser, start, small):
    server = start("--broker", "memory", "--retry-spread", "1s")
    with Tab(browser, small(server)) as tab:
        tab.until(ONLINE)
        curl(server, "to the first")
        shows(tab, "to the first")
        server.stop()
        tab.until("!(" + ONLINE + ")")
        again = start("--broker", "memory", listen=server.address)
        curl(again, "while away")
        shows(tab, "while away")
        tab.until(ONLINE)
        curl(again, "to the second")
        shows(tab, "to the second")
        log = tab.run(LOG)
        assert log.count("to the first") == log.count("while away") == 1
        assert "Messages are missing here" in log  # memory ended with the first server
        # Chromium itself reports attempts while nobody listens; the page complains of nothing.
        assert [c for c in tab.complaints() if "WebSocket connection to" not in c] == []


def test_the_tutorial_s_page_works_from_its_own_port(browser, start, pages):
    server = start()
    port = pages(server)
    for host in "localhost", "127.0.0.1":
        with Tab(browser, f"http://{host}:{port}/") as tab:
            tab.until("document.title === 'open'")
            assert tab.run("send('hi')") == "Message sent"
            tab.until("document.getElementById('list').innerText === '[bob]: hi'")
            assert tab.complaints() == []
        wait_until(lambda: server.metric("sessions") == 0)
    assert server.metric("refused_total") == 0


def test_a_page_from_elsewhere_neither_receives_nor_sends(browser, start, pages):
    server = start()
    port = pages(server)
    server.send("alice", "a secret")
    with Tab(browser, f"http://evil.example:{port}/") as tab:
        tab.until("document.title === 'closed 1006'")
        assert tab.run("send('hi').catch(() => 'refused')") == "refused"
        assert tab.run("tricks()") == "unreadable"
        wait_until(lambda: server.metric("refused_total", code="origin_not_allowed") >= 4)
    assert server.metric("sessions") == 0
    assert server.published() == 1


def test_a_name_that_points_to_this_machine_opens_nothing(browser, start):
    """DNS rebinding: to the browser it is the page's own origin."""
    server = start()
    with Tab(browser, f"http://evil.example:{server.port}/") as tab:
        assert "host_not_allowed" in tab.run("document.body.innerText")
        sent = tab.run("""fetch('/send-message', {
            method: 'POST', headers: { 'Content-Type': 'application/json' },
            body: '{"sender":"evil","receiver":"alice","message":"evil"}' }).then(r => r.status)""")
        assert sent == 403
        assert tab.run("""new Promise(done => {
            const socket = new WebSocket(`ws://${location.host}/ws/alice`);
            socket.onopen = () => done('open');
            socket.onclose = event => done(event.code); })""") == 1006
    assert server.published() == 0


def test_connections_that_a_browser_keeps_ready_do_not_delay_the_stop(browser, start):
    server = start()
    with Tab(browser, server.url + "/?user=alice") as tab:
        tab.until(ONLINE)
        with server.connect():  # what Chromium does now and then
            began = time.monotonic()
            server.stop()
            assert time.monotonic() - began < 3
