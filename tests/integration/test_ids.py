"""A user id is exactly what was sent, or refused: no aliases, nothing cut."""

import json
import urllib.parse

import pytest

from harness import AnswerReader, raw, request, run

pytestmark = pytest.mark.workers

GOOD = {
    "plain": "alice", "case": "Alice", "utf8": "zoë", "composed": "zoë", "kanji": "漢字",
    "emoji": "😀", "space": "a b", "plus": "a+b", "percent": "100%", "percent-41": "%41",
    "quote": 'a"b', "apostrophe": "a'b", "backslash": "a\\b", "question": "a?b", "hash": "a#b",
    "ampersand": "a&b=c", "semicolon": "a;b", "colon": "a:b", "at": "a@b.example", "comma": "a,b",
    "dots": "...", "dot-first": ".hidden", "dot-dot-a": "..a", "dash": "-", "tilde": "~",
    "brackets": "[a]", "braces": "{a}", "pipe": "a|b", "caret": "a^b", "less": "<script>",
    "128": "a" * 128, "128-utf8": "é" * 64, "no-break-space": "a\u00a0b", "bom": "\ufeffa",
    "highest": "\U0010ffff", "line-separator": "a\u2028b",
}


@pytest.mark.parametrize("name", GOOD.values(), ids=GOOD)
def test_an_id_is_the_same_in_path_and_body(shared, name):
    path = urllib.parse.quote(name, safe="")

    async def scenario():
        async with shared.ws(f"/ws/{path}", form="json") as socket:
            assert json.loads(await socket.recv())["user"] == name
            assert shared.send(name, "x", ttl=0)["delivered"] == 1
            assert json.loads(await socket.recv())["message"] == "x"
            described = shared.http.get(f"/users/{path}").json()
            assert (described["user"], described["online"]) == (name, True)

    run(scenario())


@pytest.mark.parametrize("name", ["alice", "zoë", "a-b_c.d~e"])
def test_every_byte_may_be_percent_encoded(shared, name):
    path = "".join(f"%{byte:02x}" for byte in name.encode())
    assert shared.http.get(f"/users/{path}").json()["user"] == name
    assert shared.http.get(f"/users/{path.upper()}").json()["user"] == name


def get(server, target):
    """The status of a GET, with the target's bytes as they are."""
    answer = raw(server, request("GET", target, "Connection: close"))
    return int(answer.split(b" ")[1]), answer


def test_it_is_decoded_once_only(shared):
    assert b'"user":"%41"' in get(shared, "/users/%2541")[1]
    assert b'"user":"a+b"' in get(shared, "/users/a+b")[1]


def test_bare_utf8_is_taken_as_curl_sends_it(shared):
    target = "/users/zoë".encode().decode("latin-1")
    assert '"user":"zoë"'.encode() in get(shared, target)[1]


def test_names_that_differ_in_case_or_composition_are_others(shared, user):
    shared.send(f"{user}É")
    for other in (f"{user}é", f"{user}E\u0301", f"{user.upper()}É"):
        path = urllib.parse.quote(other, safe="")
        assert shared.http.get(f"/users/{path}/messages").json()["messages"] == []


BAD = {
    "empty": "", "nul": "%00", "cut-by-nul": "alice%00", "nul-inside": "al%00ice",
    "slash": "a%2Fb", "slash-lower": "a%2fb", "dot": ".", "dots": "..", "dot-encoded": "%2e",
    "dots-encoded": "%2E%2e", "half-encoded-dots": ".%2e", "newline": "a%0Ab", "return": "a%0D",
    "tab": "%09", "escape": "%1b", "delete": "a%7f", "c1": "%C2%85", "broken-escape": "a%",
    "broken-escape-1": "a%4", "broken-escape-z": "%zz", "broken-escape-minus": "%-1",
    "latin1": "zo%EB", "bare-latin1": "zo\xeb", "overlong": "%C0%AF", "overlong-nul": "%C0%80",
    "surrogate": "%ED%A0%80", "too-high": "%F4%90%80%80", "cut-utf8": "%E6%BC",
    "continuation": "%80", "129": "a" * 129, "129-encoded": "%61" * 129, "65-umlauts": "%C3%A9" * 65,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("path", ["/users/{}", "/users/{}/messages", "/ws/{}"])
def test_a_bad_id_in_a_path_is_400(shared, path, bad):
    headers = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="] if path == "/ws/{}" else []
    answer = first_answer(shared, request("GET", path.format(bad), *headers))
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert b'"code":"bad_id"' in answer


def first_answer(server, data):
    with server.connect() as sock:
        sock.sendall(data)
        answer = AnswerReader(sock).next()
        return f"HTTP/1.1 {answer.status} ".encode() + answer.body


def test_a_raw_nul_does_not_cut_the_path(shared):
    for target in ("/users/alice\0x", "/users/alice\0", "/healthz\0x", "/\0healthz"):
        answer = raw(shared, request("GET", target))
        assert answer.startswith(b"HTTP/1.1 400 "), (target, answer)


def test_an_encoded_nul_does_not_cut_a_path(shared):
    for target in ("/healthz%00", "/healthz%00x", "/send-message%00abc"):
        assert get(shared, target)[0] in (400, 404)


@pytest.mark.parametrize("target", ["/healthz/", "//healthz", "/./healthz", "/a/../healthz",
                                    "/HEALTHZ", "/health%7A", "/users/a/b", "/users/a/messages/",
                                    "/users//messages/x", "/ws/a/b", "/%75sers/alice", "/rooms"])
def test_a_path_that_only_resembles_one_is_404(shared, target):
    assert get(shared, target)[0] == 404
