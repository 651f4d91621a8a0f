"""Each of examples/ is started, and does what it is for."""

import contextlib
import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading

import httpx
import pytest

from chromium import open_chromium
from guarded import draw, key_line
from harness import BINARY, DEADLINE, ROOT, clean_environment, wait_until
from senders import node_sender_in_place

EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.examples


@pytest.fixture(scope="module")
def chromium():
    made = open_chromium()
    yield made
    made.close()


@pytest.fixture(scope="module")
def packages():
    """What the examples in JavaScript need, in place; skips the test without npm."""
    node_sender_in_place()
    if not shutil.which("npm") or not (ROOT / "frontend/node_modules").is_dir():
        pytest.skip("npm, or what scripts/frontend brings, is not there")
    mark, lock = EXAMPLES / "node_modules/.package-lock.json", EXAMPLES / "package-lock.json"
    steps = [["--prefix", ROOT / "frontend/client", "run", "build"]]
    if not mark.is_file() or mark.stat().st_mtime < lock.stat().st_mtime:
        steps.append(["ci", "--no-audit", "--no-fund"])
    for step in steps:
        done = subprocess.run(["npm", *step], cwd=EXAMPLES, capture_output=True, text=True, timeout=240)
        if done.returncode and step[0] == "ci":
            pytest.skip(f"npm ci failed in examples: {done.stderr.strip()[-300:]}")
        assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def backend(command, folder, port, **env):
    """A process that serves a port, until the end of the block."""
    process = subprocess.Popen(
        [str(word) for word in command], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
        env=clean_environment(PYTHONPATH=str(ROOT / "sdk/python/src"), **env))
    said = []
    reader = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
    reader.start()

    def answers():
        assert process.poll() is None, "".join(said)
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/", timeout=DEADLINE, trust_env=False)

    try:
        wait_until(answers, 3 * DEADLINE)
        yield httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE, trust_env=False)
    finally:
        process.terminate()
        process.wait(DEADLINE)
        reader.join(DEADLINE)
        print("".join(said))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/favicon.ico":  # that browsers ask for, and complain about
            return super().do_GET()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def site(folder):
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


def build(folder, out):
    done = subprocess.run([EXAMPLES / "node_modules/.bin/vite", "build", "--outDir", out, "--logLevel",
                           "warn", "--emptyOutDir"], cwd=folder, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def mail(server, user):
    return server.http.get(f"/users/{user}/messages?after=0").json()["messages"]


# ---- backends ----

BACKENDS = {
    "fastapi": lambda port: [sys.executable, "-m", "uvicorn", "main:app", "--port", port],
    "django": lambda port: [sys.executable, "shop.py", "runserver", "--noreload", port],
    "express": lambda port: ["node", "server.mjs"],
}


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_sends_once_and_hands_out_tokens(name, start, tmp_path, unused_tcp_port,
                                                      request):
    if name == "express":
        request.getfixturevalue("packages")
    else:
        pytest.importorskip(name)
    port, key = unused_tcp_port, draw("shop")
    keys_file = tmp_path / "keys"
    keys_file.write_text(key_line("shop", key, scope="send,token"))
    server = start("--keys-file", keys_file)
    with backend(BACKENDS[name](port), EXAMPLES / name, port, PUSHWIRE=server.url, PORT=str(port),
                 SHOP_KEY=key) as shop:
        for _ in range(2):
            assert shop.post("/orders/7/ship?customer=ada").status_code == 200
        token = shop.get("/push-token?user=ada").json()["token"]
    found = server.http.get("/users/ada/messages?after=0", headers={"Authorization": f"Bearer {token}"})
    only, = found.json()["messages"]
    assert only["sender"] == "shop" and only["message"]["url"] == "/orders/7"


def test_a_cron_job_tells_how_it_ended(server, tmp_path):
    (tmp_path / "pushwire").symlink_to(BINARY)
    done = subprocess.run([EXAMPLES / "bash/cron-report", "alice", "--", "sh", "-c", "echo oh; exit 3"],
                          env=clean_environment(PUSHWIRE=server.url,
                                                PATH=f"{tmp_path}:{os.environ['PATH']}"),
                          capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 3, done
    only, = mail(server, "alice")
    assert re.fullmatch(r"sh ended with 3 after \d+ s: oh", only["message"])


# ---- pages ----

def talk(server, page):
    """What a page of the list of a user does: shows what comes, and sends."""
    page.shows("text=online")
    server.send("alice", "hi", "bob")
    page.shows("text=bob: hi")
    page.fill("[name=to]", "bob")
    page.fill("[name=text]", "hello")
    page.click("text=Send")
    only, = wait_until(lambda: mail(server, "bob"))
    assert (only["sender"], only["message"]) == ("alice", "hello")
    assert page.complaints() == []


def test_a_plain_page(server, chromium):
    if server.http.get("/client.js").status_code != 200:
        pytest.skip("this server was built without /client.js")
    with site(EXAMPLES / "plain-html") as url:
        page = chromium.open(f"{url}/?user=alice&pushwire={server.url}")
        talk(server, page)
        page.close()


def test_a_page_of_vue(packages, server, chromium, tmp_path):
    build(EXAMPLES / "vue", tmp_path)
    with site(tmp_path) as url:
        page = chromium.open(f"{url}/?user=alice&pushwire={server.url}")
        talk(server, page)
        page.close()


def test_a_page_of_react(packages, server, chromium, tmp_path):
    build(EXAMPLES / "react", tmp_path)
    with site(tmp_path) as url:
        page = chromium.open(f"{url}/?user=alice&pushwire={server.url}")
        page.shows("[data-state=online]")
        server.send("alice", {"title": "Your order"}, "shop")
        page.shows("[data-unread='1']")
        page.click("text=shop: Your order")
        page.shows("[data-unread='0']")
        assert page.complaints() == []
        page.close()


# ---- the tutorial ----

@pytest.fixture
def tutorial(packages, tmp_path):
    """A copy of it, beside the packages."""
    copy = tmp_path / "tutorial"
    shutil.copytree(EXAMPLES / "tutorial", copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (tmp_path / "node_modules").symlink_to(EXAMPLES / "node_modules")
    return copy


def say(page, to, text):
    page.fill("[name=to]", to)
    page.fill("[name=text]", text)
    page.click("text=Send")


@pytest.mark.parametrize("moved", [False, True])
def test_the_tutorial_before_and_after_its_diff(tutorial, server, chromium, unused_tcp_port, moved):
    pytest.importorskip("fastapi")
    if moved:
        done = subprocess.run(["git", "apply", "to-pushwire.diff"], cwd=tutorial, capture_output=True,
                              text=True, env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tutorial.parent)})
        assert done.returncode == 0, done.stderr
    port = unused_tcp_port
    build(tutorial / "page", tutorial / "built")
    with backend(BACKENDS["fastapi"](port), tutorial / "backend", port, PUSHWIRE=server.url), \
            site(tutorial / "built") as url:
        query = f"backend=127.0.0.1:{port}&pushwire={server.address}"
        alice = chromium.open(f"{url}/?user=alice&{query}")
        say(alice, "bob", "while you were away")
        wait_until(lambda: alice.run("document.querySelector('[name=text]').value === ''"))
        bob = chromium.open(f"{url}/?user=bob&{query}")
        # Until his socket is open the tutorial's own backend has nowhere to send to.
        wait_until(lambda: say(alice, "bob", "now") or
                   bob.run("document.body.innerText.includes('[alice]: now')"))
        assert bob.run("document.body.innerText.includes('away')") is moved
        for page in (alice, bob):
            page.close()


def test_the_diff_is_as_small_as_it_says():
    diff = (EXAMPLES / "tutorial/to-pushwire.diff").read_text()
    fewer, more = (len(re.findall(rf"^\{sign}(?!\{sign}).*", diff, re.M)) for sign in "-+")
    told = re.search(r"(\d+) lines fewer, (\d+) more", (EXAMPLES / "tutorial/README.md").read_text())
    assert told and (fewer, more) == tuple(map(int, told.groups())), (fewer, more)
