"""TLS ends at a proxy in front, by the configurations that docs/proxies prints: a throw-away
certificate, and a real browser over wss://."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess

import httpx
import pytest

from guarded import Files, bearer, token
from harness import DEADLINE, ROOT, wait_until
from test_browser import Tab, browser  # noqa: F401, a fixture
from test_proxies import free_port, replaced

PROXIES = ROOT / "docs" / "proxies"
ANY = ssl.create_default_context()
ANY.check_hostname, ANY.verify_mode = False, ssl.CERT_NONE


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """One file with a key and a certificate of its own making."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", folder / "key", "-out", folder / "crt"], check=True,
                   capture_output=True)
    both = folder / "push.pem"
    both.write_text((folder / "crt").read_text() + (folder / "key").read_text())
    return both


def command_of(name):
    path = os.environ["PATH"] + ":/usr/sbin"
    found = shutil.which(name, path=path)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def haproxy(folder, port, server, certificate):
    text = replaced((PROXIES / "haproxy-tls.cfg").read_text(), {
        "127.0.0.1:8000": server.address, "bind :443": f"bind 127.0.0.1:{port}",
        "/etc/haproxy/push.pem": str(certificate)})
    (folder / "haproxy.cfg").write_text(text)
    return [command_of("haproxy"), "-db", "-q", "-f", folder / "haproxy.cfg"]


def nginx(folder, port, server, certificate):
    temporary = "".join(f"{kind}_temp_path {kind};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = replaced((PROXIES / "nginx-tls.conf").read_text(), {
        "127.0.0.1:8000": server.address, "listen 443": f"listen 127.0.0.1:{port}",
        "/var/log/nginx/pushwire.log": str(folder / "access"), "http {": "http { " + temporary})
    text = text.replace("/etc/nginx/push.pem", str(certificate))
    (folder / "nginx.conf").write_text(text)
    user = "" if os.geteuid() else "user root root;"
    return [command_of("nginx"), "-p", folder, "-c", folder / "nginx.conf", "-g",
            f"daemon off; {user} pid {folder}/pid; error_log {folder}/log;"]


def caddy(folder, port, server, certificate):
    text = replaced((PROXIES / "Caddyfile").read_text(), {
        "127.0.0.1:8000": server.address,
        "push.example.com {": f"https://localhost:{port} {{\n\ttls {certificate} {certificate}"})
    (folder / "Caddyfile").write_text(
        "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text)
    return [command_of("caddy"), "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "files")


@pytest.fixture
def behind(tmp_path, certificate):
    """behind(proxy, server): the port at which that proxy speaks TLS."""
    processes = []

    def put(make, server):
        folder = tmp_path / f"tls-{len(processes)}"
        folder.mkdir()
        port = free_port()
        command = make(folder, port, server, certificate)
        processes.append(subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                          env={**os.environ, "HOME": str(folder),
                                               "XDG_DATA_HOME": str(folder)}))

        def is_up():
            assert processes[-1].poll() is None, "it ended"
            try:
                with socket.create_connection(("localhost", port), 1) as plain, \
                        ANY.wrap_socket(plain, server_hostname="localhost"):
                    return True
            except OSError:
                return False

        wait_until(is_up, what="the proxy")
        return port

    yield put
    for process in processes:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


OPEN = """new Promise(done => {
  const got = [];
  const socket = new WebSocket('wss://localhost:PORT/ws/ada', PROTOCOLS);
  socket.onmessage = event => {
    const frame = JSON.parse(event.data);
    got.push(frame);
    if (frame.type === 'message') socket.close();
    document.title = frame.type;
  };
  socket.onclose = event => done({ code: event.code, protocol: socket.protocol, got });
  window.socket = socket;
})"""


def opened(port, *protocols):
    return OPEN.replace("PORT", str(port)).replace("PROTOCOLS", json.dumps(protocols))


class SecureTab(Tab):
    def go(self, url):
        self.browser.call("Security.setIgnoreCertificateErrors", self.session, ignore=True)
        super().go(url)


def test_the_page_prints_the_configurations_that_are_tested():
    blocks = re.findall(r"```\n(.*?)```", (ROOT / "docs" / "proxies.md").read_text(), re.S)
    for file in "haproxy-tls.cfg", "nginx-tls.conf", "Caddyfile":
        assert (PROXIES / file).read_text().partition("\n\n")[2] in blocks, file


with_each = pytest.mark.parametrize("proxy", [
    haproxy, pytest.param(nginx, marks=pytest.mark.long), pytest.param(caddy, marks=pytest.mark.long)])


@with_each
def test_a_browser_receives_over_wss(browser, start, files, behind, proxy):
    server = start(*files.args, "--trusted-proxies", "127.0.0.1")
    port = behind(proxy, server)
    with SecureTab(browser, f"https://localhost:{port}/healthz") as tab:
        made = token("ada")
        tab.run(f"void (window.ended = {opened(port, 'pushwire.v1.json', 'bearer.' + made)})")
        tab.until("document.title === 'welcome'")
        answer = server.http.post("/send-message", headers=files.as_key("plain"), json={
            "sender": "bob", "receiver": "ada", "message": "over TLS"})
        assert answer.json()["delivered"] == 1
        end = tab.run("window.ended")
        assert end["protocol"] == "pushwire.v1.json" and end["code"] in (1000, 1005)
        assert end["got"][-1]["message"] == "over TLS"
        # the codes that say what to do reach the page
        assert tab.run(opened(port, "pushwire.v1.json", "bearer.x.y.z"))["code"] == 4401
        expired = token("ada", ttl=-60)
        assert tab.run(opened(port, "pushwire.v1.json", f"bearer.{expired}"))["code"] == 4440
        eve = token("eve")
        assert tab.run(opened(port, "pushwire.v1.json", f"bearer.{eve}"))["code"] == 4403
        assert tab.run(opened(port, f"bearer.{made}"))["code"] == 1006
        # an event stream, and a page's own requests
        stream = f"new EventSource('/sse/ada?token={made}')"
        tab.run(f"void ({stream}.addEventListener('welcome', () => document.title = 'streaming'))")
        tab.until("document.title === 'streaming'")
        get = f"fetch('/users/ada', {{headers: {json.dumps(bearer(made))}}}).then(r => r.status)"
        assert tab.run(get) == 200
    assert not any(made in line for line in server.log)


@pytest.mark.parametrize("proxy", [haproxy, nginx,
                                   pytest.param(caddy, marks=pytest.mark.long)])
def test_a_batch_of_two_megabytes_passes(start, files, behind, proxy):
    server = start(*files.args, "--trusted-proxies", "127.0.0.1")
    port = behind(proxy, server)
    line = json.dumps({"sender": "bob", "receiver": "ann", "message": "x" * 10_000}) + "\n"
    with httpx.Client(base_url=f"https://localhost:{port}", verify=ANY, trust_env=False,
                      timeout=DEADLINE) as http:
        answer = http.post("/send-messages", content=line * 200, headers={
            **files.as_key("plain"), "Content-Type": "application/x-ndjson"})
    assert (answer.status_code, answer.text.count("\n")) == (200, 200)


@with_each
def test_the_client_behind_the_proxy_is_known_and_cannot_be_made_up(start, files, behind, proxy):
    server = start(*files.args, "--trusted-proxies", "127.0.0.1")
    port = behind(proxy, server)
    with socket.create_connection(("localhost", port)) as plain, \
            ANY.wrap_socket(plain, server_hostname="localhost") as sock:
        sock.sendall(b"GET /users/ada HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: forged-hop\r\n"
                     b"X-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n")
        assert b" 401 " in sock.recv(4096)
    line = wait_until(lambda: [line for line in server.log if "forged-hop" in line])[0]
    assert re.search(r"client=(127\.0\.0\.1|::1)\b", line), line


def test_another_site_cannot_connect(browser, start, files, behind):
    server = start(*files.args)
    port = behind(haproxy, server)
    other = start()  # serves a page of another origin
    with SecureTab(browser, f"http://localhost:{other.port}/healthz") as tab:
        end = tab.run(opened(port, "pushwire.v1.json", f"bearer.{token('ada')}"))
        assert end == {"code": 1006, "protocol": "", "got": []}
        get = f"fetch('https://localhost:{port}/healthz').then(() => 'read', () => 'refused')"
        assert tab.run(get) == "refused"
