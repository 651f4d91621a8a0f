"""A folder of the operator's, served in the place of the page: `--public`."""

import hashlib
import os
import shutil
import socket

import pytest

from frames import Client, text
from harness import DEADLINE, AnswerReader, http_client, read_until_close, request, run_binary, wait_until

pytestmark = pytest.mark.workers

LARGE = 3 << 20


@pytest.fixture
def folder(tmp_path):
    site = tmp_path / "site"
    (site / "js").mkdir(parents=True)
    (site / "index.html").write_text("<h1>Chat</h1>")
    (site / "js" / "app.js").write_text("new WebSocket('ws://localhost:3000')")
    (site / "js" / "index.html").write_text("of js")
    (site / "large.bin").write_bytes(os.urandom(LARGE))
    (site / "empty.txt").write_text("")
    (site / ".env").write_text("SECRET=1")
    (site / "healthz").write_text("no")
    (tmp_path / "secret.txt").write_text("secret")
    (site / "link.txt").symlink_to("../secret.txt")
    (site / "up").symlink_to("..")
    return site


@pytest.fixture
def server(start, folder):
    return start("--public", folder)


@pytest.fixture
def http(server):
    """Not held against docs/api, which does not know what the folder has."""
    with http_client(server.url, checked=False) as made:
        yield made


def test_files_are_served_in_the_place_of_the_page(http):
    for path, content, kind in (("/", "<h1>Chat</h1>", "text/html; charset=utf-8"),
                                ("/index.html", "<h1>Chat</h1>", "text/html; charset=utf-8"),
                                ("/js/app.js", "new WebSocket('ws://localhost:3000')",
                                 "text/javascript; charset=utf-8"),
                                ("/js/", "of js", "text/html; charset=utf-8"),
                                ("/empty.txt", "", "text/plain; charset=utf-8")):
        got = http.get(path)
        assert (got.status_code, got.text, got.headers["content-type"]) == (200, content, kind), path
        assert got.headers["x-content-type-options"] == "nosniff"
        head = http.head(path)
        assert head.status_code == 200 and head.content == b""
        assert head.headers["content-length"] == str(len(content))
        again = http.get(path, headers={"If-None-Match": f'"x", {got.headers["etag"]}'})
        assert again.status_code == 304 and again.content == b""
    assert http.get("/", headers={"If-None-Match": '"x"'}).status_code == 200


def test_a_file_that_changes_has_another_etag(http, folder):
    before = http.get("/js/app.js").headers["etag"]
    (folder / "js" / "app.js").write_text("changed")
    got = http.get("/js/app.js", headers={"If-None-Match": before})
    assert got.status_code == 200 and got.text == "changed"


def test_the_routes_of_the_server_stay(http):
    assert http.get("/healthz").text != "no"
    assert http.get("/docs").status_code == 200
    assert http.get("/client.js").status_code in (200, 501)
    assert http.get("/send-message").status_code == 405
    assert http.post("/send-mesage", json={}).status_code == 404
    assert http.post("/js/app.js").status_code == 404
    sent = http.post("/send-message", json={"sender": "a", "receiver": "b", "message": 1})
    assert sent.status_code == 200


def test_a_websocket_at_the_root_is_beside_the_page(server):
    with Client(server.port, "/") as client:
        client.send(text("hi"))
        assert client.recv_data().text == "hi"


def asked(server, path):
    """Byte by byte as it is: no client tidies the path."""
    with server.connect() as sock:
        sock.sendall(request("GET", path))
        return AnswerReader(sock).next()


OUT = ["/../secret.txt", "/js/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt",
       "/%2e%2e%2fsecret.txt", "/..%5csecret.txt", "/%252e%252e/secret.txt", "//secret.txt",
       "/link.txt", "/up/secret.txt", "/up/", "/.env", "/%2eenv", "/js/..", "/.", "/js", "/none",
       "/js%2fapp.js", "/index.html%00", "/index.html/", "/%ff%fe", "/" + "a" * 300, "/" + "a/" * 1000,
       "http://localhost/../secret.txt"]


@pytest.mark.parametrize("path", OUT)
def test_nothing_leads_out_of_the_folder(server, path):
    got = asked(server, path)
    assert got.status == 404 and b"secret" not in got.body.lower().replace(b"/secret", b"")


def test_a_large_file_arrives_whole_and_is_not_held(server, folder, http):
    digest = hashlib.sha256((folder / "large.bin").read_bytes()).hexdigest()
    for _ in range(3):
        got = http.get("/large.bin")
        assert got.headers["content-type"] == "application/octet-stream"
        assert hashlib.sha256(got.content).hexdigest() == digest
    assert http.head("/large.bin").headers["content-length"] == str(LARGE)
    etag = http.head("/large.bin").headers["etag"]
    assert http.get("/large.bin", headers={"If-None-Match": etag}).status_code == 304


def slow(server):
    """Somebody who has asked for the large file and reads nothing of it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(DEADLINE)
    sock.connect(("127.0.0.1", server.port))
    sock.sendall(request("GET", "/large.bin"))
    assert sock.recv(12) == b"HTTP/1.1 200"
    return sock


def open_files(server, name):
    fds = f"/proc/{server.pid}/fd"
    found = 0
    for fd in os.listdir(fds):
        try:
            found += os.readlink(f"{fds}/{fd}").endswith(name)
        except OSError:
            pass
    return found


def test_only_so_many_are_sent_at_once_and_all_are_closed(start, folder):
    (folder / "large.bin").write_bytes(bytes(16 << 20))  # more than the sockets hold
    server = start("--public", folder, "--workers", "1")  # so many a worker
    held = [slow(server) for _ in range(64)]
    assert open_files(server, "large.bin") == 64
    got = asked(server, "/large.bin")
    assert got.status == 503 and b"overloaded" in got.body
    assert asked(server, "/").status == 200  # a small one needs none
    for sock in held:
        sock.close()
    wait_until(lambda: open_files(server, "large.bin") == 0)
    assert asked(server, "/large.bin").status == 200


def test_who_takes_nothing_of_a_file_is_let_go(start, folder):
    (folder / "large.bin").write_bytes(bytes(16 << 20))
    server = start("--public", folder, "--request-timeout", "1s")
    with slow(server):
        wait_until(lambda: open_files(server, "large.bin") == 0)


def test_a_file_that_becomes_shorter_is_no_whole_one(start, folder):
    (folder / "large.bin").write_bytes(bytes(16 << 20))
    server = start("--public", folder)
    with slow(server) as sock:
        os.truncate(folder / "large.bin", 1 << 20)
        assert len(read_until_close(sock)) < 16 << 20
    assert asked(server, "/").status == 200


def test_a_folder_that_goes_away_is_told_and_logged(server, folder):
    shutil.rmtree(folder)
    got = asked(server, "/")
    assert got.status == 500 and b'"unreadable"' in got.body
    wait_until(lambda: "a public file cannot be read" in server.log_text())


def test_a_folder_that_is_none_is_told_at_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    for wrong in tmp_path / "none", tmp_path / "file":
        for more, code in ([], 1), (["--check-config"], 2):
            done = run_binary("--listen", "127.0.0.1:0", "--broker", "memory", "--public", str(wrong), *more)
            assert done.returncode == code
            assert "the folder of public cannot be opened" in done.stderr
