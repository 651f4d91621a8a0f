"""Our client in Chromium, against servers and networks that come and go."""

import json
import select
import shutil
import socket
import subprocess
import threading
import time

import pytest

from harness import DURABLE, ROOT, wait_until
from streams import tell
from test_browser import Tab, browser  # noqa: F401, a fixture
from test_browser_streams import PAGES, site  # noqa: F401, a fixture
from test_proxies import through  # noqa: F401, a fixture

FRONTEND = ROOT / "frontend"

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


class Page(Tab):
    """A tab with a client in it."""

    def __init__(self, browser, url, **options):
        super().__init__(browser, url)
        self.until("document.title === 'ready'")
        self.run(f"open_client({json.dumps(options)})")

    def has(self, messages):
        self.until(f"got.length >= {len(messages)}")
        assert self.run("got") == messages

    def becomes(self, state):
        self.until(f"client.state === '{state}'")


class Cable:
    """A port that leads to a server. While it is cut, and for connections that died, nothing passes
    and nobody is told."""

    def __init__(self, server):
        self.server, self.cut, self.over = server, False, False
        self.dead = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.over:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near):
        with near, self.server.connect() as far:
            other = {near: far, far: near}
            self.sockets.update(other)
            while not self.over:
                ready, _, _ = select.select([near, far], [], [], 0.05)
                if self.cut or near in self.dead:
                    time.sleep(0.01)
                    continue
                for sock in ready:
                    if not self._pass_on(sock, other[sock]):
                        return

    @staticmethod
    def _pass_on(sock, other):
        try:
            data = sock.recv(65536)
            other.sendall(data)
        except OSError:
            return False
        return bool(data)

    def die(self):
        self.dead |= self.sockets

    def close(self):
        self.over = True
        self.listener.close()


@pytest.fixture
def cable():
    made = []

    def lay(server):
        made.append(Cable(server))
        return made[-1]

    yield lay
    for one in made:
        one.close()


def page_at(site, address):
    """The page, with its client at this server or port."""
    return site(address) + "/client.html"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_that_comes_back_in_mid_conversation(browser, start, site, end):
    server = start("--retry-spread", "200ms")
    with Page(browser, page_at(site, server)) as page:
        page.becomes("online")
        said = list(range(20))
        for n in said:
            tell(server, n, receiver="ann")
        page.has(said)
        getattr(server, end)()
        page.becomes("reconnecting")
        page.run("void client.send({ receiver: 'ann', message: 'from below' })"
                 ".then(sent => window.sent = sent)")
        again = start("--retry-spread", "200ms", listen=server.address, folder=server.folder)
        for n in range(20, 40):
            tell(again, n, receiver="ann")
            said.append(n)
        page.becomes("online")
        page.until("window.sent?.id")
        tell(again, "the end", receiver="ann")
        page.until("got.at(-1) === 'the end'")
        got, ids = page.run("got"), page.run("ids")
        assert [m for m in got if isinstance(m, int)] == said
        assert got.count("from below") == 1 and len(got) == len(said) + 2
        assert ids == sorted(set(ids))
        assert len(page.run("gaps")) == (0 if DURABLE else 1)  # memory ended with the first server
        assert page.run("errors") in ([], ["unreachable"])


def test_a_page_that_is_left_is_gone_and_one_that_comes_back_missed_nothing(browser, start, site):
    server = start()
    with Page(browser, page_at(site, server)) as page:
        page.becomes("online")
        tell(server, 1, receiver="ann")
        page.has([1])
        here = page.run("location.href")
        page.go(server.url + "/healthz")
        wait_until(lambda: server.metric("sessions") == 0)
        tell(server, 2, receiver="ann")
        page.run("void setTimeout(() => history.back())")  # the very page, as it was
        page.until(f"location.href === '{here}'")
        page.has([1, 2])
        tell(server, 3, receiver="ann")
        page.has([1, 2, 3])
        page.go(server.url + "/healthz")
        wait_until(lambda: server.metric("sessions") == 0)
        tell(server, 4, receiver="ann")
        page.go(here)  # a new one, with the cursor of the old
        page.until("document.title === 'ready'")
        page.run("open_client({})")
        page.has([4])


def emulate_offline(page, offline):
    page.browser.call("Network.enable", page.session)
    page.browser.call("Network.emulateNetworkConditions", page.session, offline=offline, latency=0,
                      downloadThroughput=-1, uploadThroughput=-1)


def test_offline_and_online_again(browser, start, site, cable):
    server = start()
    line = cable(server)
    with Page(browser, page_at(site, line)) as page:
        page.becomes("online")
        line.cut = True
        emulate_offline(page, True)
        page.becomes("offline")
        page.run("void client.send({ receiver: 'ann', message: 'from below' })")
        tell(server, "meanwhile", receiver="ann")
        line.cut = False
        emulate_offline(page, False)
        page.becomes("online")
        page.until("got.length === 2")
        assert sorted(page.run("got")) == ["from below", "meanwhile"]


def test_an_open_socket_that_is_dead_is_found_out_on_waking(browser, start, site, cable):
    server = start()
    line = cable(server)
    with Page(browser, page_at(site, line)) as page:
        page.becomes("online")
        line.die()  # as in sleep: nobody is told
        tell(server, 1, receiver="ann")
        page.run("document.dispatchEvent(new Event('visibilitychange'))")
        page.has([1])
        page.becomes("online")


def test_two_tabs_share_one_socket(browser, start, site):
    server = start()
    url = page_at(site, server)
    one = Page(browser, url)
    one.becomes("online")
    with Page(browser, url, channels=["news"]) as two:
        two.becomes("online")
        tell(server, 1, receiver="ann")
        one.has([1])
        two.has([1])
        wait_until(lambda: server.http.get("/channels/news").json()["sessions"] == 1)
        assert server.metric("sessions") == 1
        tell(server, "n", channel="news")
        two.has([1, "n"])
        one.__exit__()  # the one with the socket
        tell(server, 2, receiver="ann")
        tell(server, "m", channel="news")
        two.has([1, "n", 2, "m"])
        two.becomes("online")
        assert server.metric("sessions") == 1
        with Page(browser, url, user="bob") as bob:
            bob.becomes("online")
            assert server.metric("sessions") == 2
            two.run("client.close()")
            wait_until(lambda: server.metric("sessions") == 1)


BLOCKED = {"proxy_set_header Upgrade $http_upgrade;": "",
           "proxy_set_header Connection $connection_upgrade;": ""}


@pytest.mark.parametrize("transport", ["sse", "poll"])
def test_where_a_proxy_blocks_websockets_it_goes_another_way(browser, start, site, through,
                                                             transport):
    server = start()
    changes = dict(BLOCKED)
    if transport == "poll":
        changes["location / {"] = "location /sse/ { return 502; }\n        location / {"
    proxy = through("nginx", server, changes)
    with Page(browser, page_at(site, proxy)) as page:
        page.becomes("online")
        wait_until(lambda: server.metric("sessions", transport=transport) == 1)  # not between polls
        for n in range(3):
            tell(server, n, receiver="ann")
        page.has([0, 1, 2])
        sent = page.run("client.send({ receiver: 'ann', message: 'mine' })")
        assert sent["duplicate"] is False
        page.has([0, 1, 2, "mine"])
        history = page.run("client.history({ limit: 2 })")
        assert [m["message"] for m in history["messages"]] == ["mine", 2] and history["more"]
        page.run("client.close()")
        wait_until(lambda: server.metric("sessions") == 0)


@pytest.fixture(scope="module")
def strict_app():
    """The page strict.jsx, bundled."""
    done = subprocess.run(
        ["node_modules/.bin/esbuild", PAGES / "strict.jsx", "--bundle", "--jsx=automatic",
         "--alias:pushwire/react=./client/src/react.ts",
         "--alias:react=./node_modules/react", "--alias:react-dom=./node_modules/react-dom"],
        cwd=FRONTEND, capture_output=True, text=True, check=True)
    return done.stdout


def test_strict_mode_opens_one_socket(browser, start, site, strict_app, tmp_path, monkeypatch):
    server = start()
    page = f'<meta charset="utf-8"><div id="root"></div><script>{strict_app}</script>'
    (tmp_path / "strict.html").write_text(page)
    monkeypatch.setattr("test_browser_streams.PAGES", tmp_path)
    tell(server, "kept", receiver="ann")
    with Tab(browser, site(server) + "/strict.html") as tab:
        tab.run("show('ann')")
        tab.until("document.querySelector('h1')?.innerText === 'online 1'")
        tell(server, "new", receiver="ann")
        tab.until("document.querySelector('ul').innerText === 'bob: new\\nbob: kept'")
        tab.run("document.querySelector('li').click()")
        tab.until("document.querySelector('h1').innerText === 'online 1'")
        tab.run("document.querySelector('button').click()")
        tab.until("document.querySelector('button').innerText === 'hello'")
        assert server.metric("sessions") == 1
        assert server.metric("closed_total") == 0
        tell(server, "for bob", receiver="bob")
        tab.run("show('bob')")
        tab.until("document.querySelector('ul').innerText === 'bob: for bob'")
        wait_until(lambda: server.metric("sessions") == 1)
        assert server.metric("closed_total") == 1
        assert tab.complaints() == []
