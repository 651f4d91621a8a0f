"""What opens a WebSocket, and what is refused before the 101 (RFC 6455 section 4)."""

import base64
import json
import os
import shutil
import subprocess
import urllib.parse

import pytest

import frames
from frames import Client
from harness import DEADLINE, ROOT, run_binary, wait_until


def ask(server, path="/ws/alice", headers=(), **line):
    with Client(server.port, handshake=False) as client:
        return client.ask(frames.request(path, headers, **line))


def refuses(server, status, code, *args, **options):
    answer = ask(server, *args, **options)
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.headers["content-type"] == "application/problem+json"
    return answer


def first_frame(server, path, headers=()):
    with Client(server.port, path, headers) as client:
        return client.recv()


# ---- what opens ----

def test_the_sample_key_of_the_standard_gets_its_sample_answer(shared):
    answer = ask(shared)
    assert answer.status == 101
    assert answer.headers["sec-websocket-accept"] == frames.SAMPLE_ACCEPT
    assert answer.headers["upgrade"].lower() == "websocket"
    assert answer.headers["connection"].lower() == "upgrade"
    assert "sec-websocket-protocol" not in answer.headers
    assert "sec-websocket-extensions" not in answer.headers


def test_any_key_gets_the_answer_made_from_it(shared):
    for _ in range(20):
        key = base64.b64encode(os.urandom(16)).decode()
        answer = ask(shared, key=key)
        assert answer.headers["sec-websocket-accept"] == frames.accept_of(key)


@pytest.mark.parametrize("headers", [
    {"Connection": "keep-alive, Upgrade"},
    {"Connection": "UPGRADE"},
    {"Connection": " ,keep-alive ,\tupgrade, "},
    {"Connection": "keep-alive", "connection": "Upgrade"},
    {"Upgrade": "WebSocket"},
    {"Upgrade": "h2c, WEBSOCKET"},
    {"upgrade": "websocket", "Upgrade": None},
    {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
    {"Sec-WebSocket-Extensions": "x-unknown; a=1, x-other"},
    {"Cookie": "a=b", "User-Agent": "test", "Accept-Encoding": "gzip"},
    {"Origin": None},
])
def test_headers_are_lists_of_words_in_any_case(shared, headers):
    answer = ask(shared, headers=headers)
    assert answer.status == 101
    assert "sec-websocket-extensions" not in answer.headers


@pytest.mark.parametrize("origin", [
    "http://localhost", "http://localhost:3000", "https://localhost:8443", "http://127.0.0.1:5173",
    "http://[::1]:3000",
])
def test_pages_of_this_machine_may_connect(shared, origin):
    assert ask(shared, headers={"Origin": origin}).status == 101


# ---- what does not ----

@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "get"])
def test_only_get_opens(shared, method):
    answer = refuses(shared, 405, "method_not_allowed", method=method)
    assert "GET" in answer.headers["allow"]


def test_options_answers_what_is_served(shared):
    answer = ask(shared, method="OPTIONS")
    assert answer.status == 204
    assert "GET" in answer.headers["allow"]


def test_head_does_not_open(shared):
    with Client(shared.port, handshake=False) as client:
        client.send(frames.request("/ws/alice", {"Connection": "Upgrade"}, method="HEAD"))
        client._fill()
        status = int(client.received.split(b" ")[1])
    assert status in (405, 426)


def test_http_1_0_does_not_open(shared):
    refuses(shared, 426, "upgrade_required", version="HTTP/1.0")


def test_a_plain_request_is_told_to_upgrade(shared):
    answer = shared.http.get("/ws/alice")
    assert answer.status_code == 426
    assert answer.json()["code"] == "upgrade_required"
    assert answer.headers["upgrade"] == "websocket"
    assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("headers", [
    {"Upgrade": None},
    {"Upgrade": "h2c"},
    {"Upgrade": "websockets"},
    {"Upgrade": "web socket"},
    {"Upgrade": ""},
])
def test_without_the_word_websocket_it_is_told_to_upgrade(shared, headers):
    refuses(shared, 426, "upgrade_required", headers=headers)


@pytest.mark.parametrize("version", [None, "", "8", "12", "14", "013", "13, 8", "13.0", "thirteen"])
def test_another_version_is_told_the_right_one(shared, version):
    answer = refuses(shared, 426, "upgrade_required", headers={"Sec-WebSocket-Version": version})
    assert answer.headers["sec-websocket-version"] == "13"


def test_two_versions_are_none(shared):
    head = {"Sec-WebSocket-Version": "13", "sec-websocket-version": "8"}
    assert ask(shared, headers=head).status in (400, 426)


@pytest.mark.parametrize("connection", [None, "", "keep-alive", "Upgraded", "close"])
def test_connection_must_list_upgrade(shared, connection):
    refuses(shared, 400, "bad_handshake", headers={"Connection": connection})


@pytest.mark.parametrize("key", [
    None, "", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
    base64.b64encode(bytes(15)).decode(), base64.b64encode(bytes(17)).decode(),
    base64.b64encode(bytes(32)).decode(), "dGhlIHNhbXBsZSBub25j!Q==", "dGhlIHNhbXBsZSBub25jZ_==",
    "dGhlIHNhbXBs ZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAA=A", "======================AA",
])
def test_the_key_must_be_sixteen_bytes_of_base64(shared, key):
    refuses(shared, 400, "bad_handshake", key=key)


def test_two_keys_are_none(shared):
    headers = {"sec-websocket-key": base64.b64encode(bytes(16)).decode()}
    refuses(shared, 400, "bad_handshake", headers=headers)


@pytest.mark.parametrize("headers,body", [
    ({"Content-Length": "5"}, b"hello"),
    ({"Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n0\r\n\r\n"),
    ({"Transfer-Encoding": "chunked"}, b"0\r\n\r\n"),
])
def test_a_handshake_has_no_body(shared, headers, body):
    with Client(shared.port, handshake=False) as client:
        answer = client.ask(frames.request("/ws/alice", headers), body)
    assert (answer.status, answer.code) == (400, "bad_handshake")


@pytest.mark.parametrize("length", ["0", "00"])
def test_a_content_length_of_zero_is_no_body(shared, length):
    with Client(shared.port, handshake=False) as client:
        headers = {"Content-Length": length}
        assert client.ask(frames.request("/ws/alice", headers)).status == 101


def test_the_websocket_of_java_connects_and_receives(server, tmp_path):
    """Java's own client, which up to version 18 sends Content-Length: 0 with its handshake."""
    if not shutil.which("javac"):
        pytest.skip("no JDK is installed")
    program = ROOT / "tests" / "integration" / "java" / "Listen.java"
    done = subprocess.run(["javac", "-d", tmp_path, program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    java = subprocess.Popen(["java", "-cp", tmp_path, "Listen", server.ws_url("/ws/alice")],
                            stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: server.metric("sessions", transport="websocket") or java.poll(),
                   deadline=3 * DEADLINE, what="Java's session")  # its start takes a while
        server.send("alice", {"from": "a backend"})
        out, _ = java.communicate(timeout=DEADLINE)
    finally:
        java.kill()
    assert java.returncode == 0
    assert json.loads(out)["message"] == {"from": "a backend"}


def test_a_body_of_two_framings_is_refused_and_the_connection_ends(shared):
    headers = {"Content-Length": "5", "Transfer-Encoding": "chunked"}
    with Client(shared.port, handshake=False) as client:
        answer = client.ask(frames.request("/ws/alice", headers))
        assert answer.status == 400
        client.recv_end()


@pytest.mark.parametrize("path", ["/ws/alice", "/ws", "/rooms/tea?name=bob"])
def test_a_handshake_has_its_request_id(shared, path):
    with Client(shared.port, path, {"X-Request-Id": "my-id"}) as client:
        assert client.answer.headers["x-request-id"] == "my-id"


def test_a_refused_handshake_leaves_the_connection_usable(shared):
    with Client(shared.port, handshake=False) as client:
        assert client.ask(frames.request("/ws/alice", key="x")).status == 400
        assert client.ask(frames.request("/ws/alice")).status == 101


@pytest.mark.parametrize("origin", [
    "http://evil.example", "https://localhost.evil.example", "http://evil.example:8000", "null",
    "http://localhost@evil.example", "http://127.0.0.1.evil.example", "http://[::2]:3000",
    "file://", "http://localhost:3000.evil.example", "http://xlocalhost:3000",
])
def test_pages_from_elsewhere_are_refused(shared, origin):
    refuses(shared, 403, "origin_not_allowed", headers={"Origin": origin})


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example"])
def test_other_host_names_are_refused(shared, host):
    refuses(shared, 403, "host_not_allowed", host=host)


def test_listed_origins_may_connect(start):
    server = start("--allowed-origins", "https://app.example")
    assert ask(server, headers={"Origin": "https://app.example"}).status == 101
    refuses(server, 403, "origin_not_allowed", headers={"Origin": "http://app.example"})
    refuses(server, 403, "origin_not_allowed", headers={"Origin": "https://app.example:444"})


def test_no_refused_handshake_becomes_a_session(start):
    server = start()
    refuses(server, 403, "origin_not_allowed", headers={"Origin": "http://evil.example"})
    refuses(server, 400, "bad_handshake", key="x")
    refuses(server, 400, "bad_parameter", "/ws/alice?format=xml")
    refuses(server, 400, "bad_parameter", "/ws/alice?after=x")
    assert server.metric("sessions") == 0
    assert server.metric("refused_total", code="bad_parameter") == 2
    assert server.send("alice")["delivered"] == 0


# ---- form ----

@pytest.mark.parametrize("path,protocols,chosen,json", [
    ("/ws/ann", None, None, False),
    ("/ws/ann?format=text", None, None, False),
    ("/ws/ann?format=json", None, None, True),
    ("/ws/ann", "pushwire.v1.json", "pushwire.v1.json", True),
    ("/ws/ann", "pushwire.v1.text", "pushwire.v1.text", False),
    ("/ws/ann?format=json", "pushwire.v1.text", "pushwire.v1.text", False),
    ("/ws/ann?format=text", "pushwire.v1.json", "pushwire.v1.json", True),
    ("/ws/ann", "chat, pushwire.v1.json", "pushwire.v1.json", True),
    ("/ws/ann", "pushwire.v2.json,pushwire.v1.text,x", "pushwire.v1.text", False),
    ("/ws/ann?format=json", "chat, superchat", None, True),
    ("/ws/ann", "chat", None, False),
    ("/ws/ann", "pushwire.v1.jsonx", None, False),
])
def test_the_form_is_chosen_by_subprotocol_else_by_format(shared, path, protocols, chosen, json):
    headers = {"Sec-WebSocket-Protocol": protocols} if protocols else {}
    with Client(shared.port, path, headers) as client:
        assert client.answer.headers.get("sec-websocket-protocol") == chosen
        if json:
            assert client.recv().json["type"] == "welcome"
        shared.send("ann", "hi")
        got = client.recv()
        if json:
            assert (got.json["type"], got.json["message"]) == ("message", "hi")
        else:
            assert got == frames.Frame(frames.TEXT, b"[bob]: hi")


def test_subprotocols_may_come_in_two_headers(shared):
    headers = {"Sec-WebSocket-Protocol": "chat", "sec-websocket-protocol": "pushwire.v1.json"}
    with Client(shared.port, "/ws/ann", headers) as client:
        assert client.answer.headers["sec-websocket-protocol"] == "pushwire.v1.json"
        assert client.recv().json["type"] == "welcome"


@pytest.mark.parametrize("form", ["xml", "JSON", "", "json%00"])
def test_an_unknown_format_is_refused(shared, form):
    refuses(shared, 400, "bad_parameter", f"/ws/alice?format={form}")


@pytest.mark.parametrize("after", ["", "-1", "x", "1.5", "0x10", "99999999999999999999", "1 ",
                                   "18446744073709551616", "%2B1", "%201", "null"])
def test_a_bad_after_is_refused(shared, after):
    refuses(shared, 400, "bad_parameter", "/ws/alice?after=" + after.replace(" ", "%20"))


def test_unknown_parameters_are_left_alone(shared):
    assert first_frame(shared, "/ws/ann?x=1&format=json&y")[0] == frames.TEXT


# ---- welcome and ids ----

def test_welcome_says_who_where_and_how_often(shared):
    one = first_frame(shared, "/ws/ann?format=json").json
    two = first_frame(shared, "/ws/ann?format=json").json
    assert set(one) == {"type", "session", "user", "cursor", "heartbeat"}
    assert one["user"] == "ann" and one["heartbeat"] == 25
    assert len(one["cursor"]) == 19 and one["cursor"].isdigit()
    assert one["session"] != two["session"]


NAMES = [
    "a", "ann-1", "a.b", "...", "~user", "a b", "o'neil", "a+b", "100%", "a?b", "a#b", "a:b@c",
    "émile", "이용자", "🦊", "a\u00a0b", 'quote"', "back\\slash", "<b>", "x" * 128, "é" * 64,
    "a%2Fb", "%00",
]


@pytest.mark.parametrize("name", NAMES)
def test_an_id_is_exactly_its_bytes(shared, name):
    path = "/ws/" + urllib.parse.quote(name, safe="") + "?format=json"
    with Client(shared.port, path) as client:
        assert client.recv().json["user"] == name
        assert shared.send(name, "for you")["delivered"] == 1
        assert client.recv().json["message"] == "for you"


def test_bare_utf_8_is_taken_as_it_is(shared):
    with Client(shared.port, "/ws/이용자2?format=json") as client:
        assert client.recv().json["user"] == "이용자2"


def test_escapes_of_plain_letters_name_the_same_user(shared):
    with Client(shared.port, "/ws/%61%6e%6e%65?format=json") as client:
        assert client.recv().json["user"] == "anne"


@pytest.mark.parametrize("path", [
    "/ws/", "/ws/.", "/ws/..", "/ws/%2e", "/ws/%2E%2e", "/ws/a%2Fb", "/ws/a%2fb", "/ws/%00",
    "/ws/a%00b", "/ws/a%0Ab", "/ws/%7f", "/ws/%ff", "/ws/%c3", "/ws/%c0%80", "/ws/%ed%a0%80",
    "/ws/%f4%90%80%80", "/ws/a%", "/ws/a%2", "/ws/a%zz", "/ws/" + "x" * 129, "/ws/" + "%c3%a9" * 65,
    "/ws/%c2%85",
])
def test_what_is_no_id_is_refused(shared, path):
    answer = ask(shared, path)
    assert answer.status in (400, 404), answer
    assert answer.code in ("bad_id", "not_found")
    if path != "/ws/":
        assert answer.code == "bad_id"


@pytest.mark.parametrize("path", ["/wss", "/ws/a/b", "/ws/a/", "//ws/a", "/WS/alice", "/wsx/alice",
                                  "/ws//alice"])
def test_other_paths_are_not_found(shared, path):
    refuses(shared, 404, "not_found", path)


# ---- early data ----

def test_a_whole_frame_in_the_segment_of_the_handshake_is_read(shared):
    with Client(shared.port, "/ws/ann?format=json",
                early=frames.text('{"type":"ping"}') + frames.frame(frames.PING, b"early")) as client:
        assert client.recv().json["type"] == "welcome"
        assert client.recv().json == {"type": "pong"}
        assert client.recv() == frames.Frame(frames.PONG, b"early")


@pytest.mark.parametrize("cut", range(1, 21))
def test_a_part_of_a_frame_in_the_segment_of_the_handshake_is_kept(shared, cut):
    whole = frames.text('{"type":"ping"}')
    with Client(shared.port, "/ws/ann?format=json", early=whole[:cut]) as client:
        assert client.recv().json["type"] == "welcome"
        client.send(whole[cut:])
        assert client.recv().json == {"type": "pong"}


def test_much_early_data_is_read_to_its_end(shared):
    with Client(shared.port, "/ws/ann?format=json",
                early=frames.text('{"type":"ping"}') * 500) as client:
        assert client.recv().json["type"] == "welcome"
        for _ in range(500):
            assert client.recv().json == {"type": "pong"}


def test_a_close_in_the_segment_of_the_handshake_is_answered(shared):
    with Client(shared.port, "/ws/ann", early=frames.close(1000)) as client:
        assert client.recv() == frames.Frame(frames.CLOSE, b"\x03\xe8")


def test_a_request_before_the_handshake_may_share_its_segment(shared):
    with Client(shared.port, handshake=False) as client:
        head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        early = frames.frame(frames.PING, b"x")
        assert client.ask(head + frames.request("/ws/ann") + early).status == 200
        assert client.ask(b"").status == 101
        assert client.recv() == frames.Frame(frames.PONG, b"x")


def test_a_head_in_single_bytes_opens(shared):
    with Client(shared.port, handshake=False) as client:
        client.send_chopped(frames.request("/ws/ann"))
        assert client.ask(b"").status == 101


# ---- the echo ----

def test_the_echo_is_absent_unless_asked_for(shared):
    refuses(shared, 404, "not_found", "/ws-echo")


@pytest.mark.parametrize("flags", [["--insecure-open"], []])
def test_the_echo_is_refused_unless_on_loopback(flags):
    done = run_binary("--listen", "0.0.0.0:0", "--dev-echo", *flags, deadline=10)
    assert done.returncode in (1, 2)
    assert "ready" not in done.stderr
    if flags:
        assert "dev_echo" in done.stderr or "dev-echo" in done.stderr
