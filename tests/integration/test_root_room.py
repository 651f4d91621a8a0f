"""Text chat at `/`, as the servers of the tutorials have it, beside the page."""

import pytest

from frames import BINARY, TEXT, Client, frame, request, text
from harness import wait_until
from streams import tell

pytestmark = pytest.mark.workers


def root(server, path="/", **options):
    return Client(server.port, path, **options)


def hears(client):
    got = client.recv_data()
    assert got.opcode == TEXT, got
    return got.text


def settled(server, channel, count):
    wait_until(lambda: server.http.get(f"/channels/{channel}").json()["sessions"] == count)


def test_at_the_root_everyone_hears_everyone_and_themselves(start):
    server = start("--workers", "2")
    with root(server) as ann, root(server) as ben, Client(server.port, "/ws") as cal:
        settled(server, "lobby", 3)
        ann.send(text("hello, all"))
        assert hears(ann) == hears(ben) == hears(cal) == "hello, all"
        tell(server, "from a backend", channel="lobby", ttl=0)
        assert hears(ann) == hears(ben) == "from a backend"
        ben.send(text("/exit"))
        assert hears(ann) == hears(ben) == "/exit"
        ben.send(frame(BINARY, "x"))
        assert ben.recv().code == 1003


def test_the_page_stays_where_it_is(start):
    for word in "lobby", "room", "off":
        server = start("--root-room", word)
        for headers in {}, {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings"}:
            answer = server.http.get("/", headers=headers)
            assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
        assert server.http.head("/").status_code == 200
        refused = server.http.post("/")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_off_knows_no_handshake_at_the_root(start):
    server = start("--root-room", "off")
    client = Client(server.port, handshake=False)
    answer = client.ask(request("/"))
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/html")


def test_a_handshake_that_is_none_is_told(start):
    client = Client(start().port, handshake=False)
    answer = client.ask(request("/", {"Sec-WebSocket-Version": "8"}))
    assert answer.status == 426 and answer.headers["sec-websocket-version"] == "13"


def test_as_a_room_all_others_hear_who_it_was(start):
    server = start("--root-room", "room")
    with root(server) as ann, root(server) as ben, root(server, "/?name=cal") as cal, \
            Client(server.port, "/rooms/root?name=dan") as dan:
        settled(server, "room:root", 4)
        cal.send(text("hi"))
        assert hears(ann) == hears(ben) == hears(dan) == "cal: hi"
        ann.send(text("one"))
        ben.send(text("two"))
        lines = sorted((hears(cal), hears(cal)), key=lambda line: line[-3:])
        names = [line.partition(": ")[0] for line in lines]
        assert [line.partition(": ")[2] for line in lines] == ["one", "two"]
        assert len(set(names)) == 2 and all(name.startswith("guest-") for name in names)
        cal.send(text("/exit"))
        assert cal.recv().code == 1000
        settled(server, "room:root", 3)


@pytest.mark.parametrize("word,first", [("lobby", "x"), ("room", "cal: x")])
def test_a_greeting_comes_first_and_to_the_one_who_comes(start, word, first):
    server = start("--root-room", word, "--root-greeting", "Welcome, 안녕!")
    with root(server) as ann:
        assert hears(ann) == "Welcome, 안녕!"
        with root(server, "/?name=cal") as cal, Client(server.port, "/ws") as other:
            assert hears(cal) == "Welcome, 안녕!"
            settled(server, "lobby" if word == "lobby" else "room:root", 3 if word == "lobby" else 2)
            cal.send(text("x"))
            assert hears(ann) == first
            if word == "lobby":
                assert hears(other) == "x"


def test_a_name_that_could_be_anothers_is_refused(start):
    server = start("--root-room", "room")
    for name in "a]", "a:%20b", "", "x" * 129:
        client = Client(server.port, handshake=False)
        assert client.ask(request(f"/?name={name}")).status == 400
    assert server.http.get("/?name=a]").status_code == 200


def test_with_credentials_a_token_has_to_cover_the_lobby(guarded):
    with root(guarded) as nobody:
        assert nobody.recv().code == 4401


# ---- pages without an origin ----

def handshake(server, origin):
    client = Client(server.port, handshake=False)
    return client.ask(request("/", {"Origin": origin}))


def test_a_page_opened_as_a_file_is_told_what_to_do(start):
    answer = handshake(start(), "null")
    assert answer.status == 403 and b"list null in allowed_origins" in answer.body


def test_a_page_opened_as_a_file_may_come_where_null_is_listed(start):
    server = start("--allowed-origins", "null,https://app.example")
    assert handshake(server, "null").status == 101
    answer = server.http.post("/send-message", headers={"Origin": "null"},
                              json={"sender": "a", "receiver": "b", "message": 1})
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "null"
    assert "access-control-allow-credentials" not in answer.headers
    assert handshake(server, "file://").status == 403


def test_null_can_be_listed_in_a_file(start, tmp_path):
    (tmp_path / "config.yaml").write_text('allowed_origins: ["null"]\n')
    assert handshake(start("--config", tmp_path / "config.yaml"), "null").status == 101
