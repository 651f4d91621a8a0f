"""What Chromium receives with: EventSource, WebSocket and fetch, and pages like the tutorials'."""

import http.server
import json
import pathlib
import threading

import pytest

from harness import wait_until
from streams import session, tell
from test_browser import Tab, browser  # noqa: F401, a fixture

PAGES = pathlib.Path(__file__).parent / "pages"


@pytest.fixture
def site():
    """site(server): the address of another web server on this machine, with PAGES, in which only
    Pushwire's address was filled in."""
    servers = []

    def serve(pushwire):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                file = PAGES / self.path.rpartition("/")[2]
                text = file.read_text() if file.suffix == ".html" else ""  # no icon
                body = text.replace("SERVER", f"localhost:{pushwire.port}").encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://localhost:{servers[-1].server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def events(tab, count):
    """The first so many events, once they are there."""
    tab.until(f"events.length >= {count}")
    return tab.run("events")[:count]


def submit(tab, form, **fields):
    values = "".join(f"document.getElementById('{field}').value = {json.dumps(value)};"
                     for field, value in fields.items())
    tab.run(values + f"document.getElementById('{form}').requestSubmit()")


# ---- pages as tutorials write them ----

def test_a_group_chat_s_page_works_by_its_address_alone(browser, start, site):
    server = start()
    page = site(server) + "/group-chat.html"

    def shown(tab, lines):
        tab.until("[...document.querySelectorAll('#messages li')].map(li => li.textContent)"
                  f".join('|') === {json.dumps('|'.join(lines))}")

    with Tab(browser, page) as ann, Tab(browser, page) as bob, Tab(browser, page) as else_where:
        submit(ann, "join", name="ann", room="tea & cake")
        submit(bob, "join", name="Böb", room="tea & cake")
        submit(else_where, "join", name="cal", room="coffee")
        for tab in ann, bob, else_where:
            tab.until("document.title === 'joined'")
        submit(ann, "say", text="hello <b>all</b>")
        shown(bob, ["ann: hello <b>all</b>"])
        submit(bob, "say", text="hi 🦊")
        shown(ann, ["me: hello <b>all</b>", "Böb: hi 🦊"])
        submit(bob, "say", text="/exit")
        bob.until("document.title === 'left 1000 true'")
        submit(ann, "say", text="bye")
        shown(ann, ["me: hello <b>all</b>", "Böb: hi 🦊", "me: bye"])
        shown(bob, ["ann: hello <b>all</b>", "me: hi 🦊"])
        shown(else_where, [])
        for tab in ann, bob, else_where:
            assert tab.complaints() == []


def test_a_broadcast_page_works_by_its_address_alone(browser, start, site):
    server = start()
    page = site(server) + "/lobby.html"
    with Tab(browser, page + "#ann") as ann, Tab(browser, page + "#bob") as bob:
        for tab in ann, bob:
            tab.until("document.title === 'open'")
        wait_until(lambda: server.http.get("/channels/lobby").json()["sessions"] == 2)
        submit(ann, "form", text="one")
        for tab in ann, bob:
            tab.until("document.getElementById('log').innerText.trim() === '<ann> one'")
        submit(bob, "form", text="two")
        for tab in ann, bob:
            tab.until("document.getElementById('log').innerText.includes('<bob> two')")
            assert tab.complaints() == []


# ---- EventSource ----

def test_an_event_source_receives_and_resumes_by_itself(browser, start, site):
    server = start("--retry-spread", "0s")
    with Tab(browser, site(server) + "/streams.html") as tab:
        tab.run("void (window.source = listen('?channels=a'))")
        opened, welcome = events(tab, 2)
        assert (opened["type"], welcome["type"]) == ("open", "welcome")
        assert welcome["id"] == welcome["data"]["cursor"]
        ids = [tell(server, "one\ntwo", receiver="ann")["id"], tell(server, 2, channel="a")["id"],
               tell(server, {"all": True}, broadcast=True)["id"]]
        got = events(tab, 5)[2:]
        assert [e["id"] for e in got] == ids
        assert [e["data"]["message"] for e in got] == ["one\ntwo", 2, {"all": True}]
        server.http.delete("/users/ann/sessions")
        tell(server, "while away", channel="a")
        bye, error, opened, welcome, missed = events(tab, 10)[5:]
        assert [e["type"] for e in (bye, error, opened, welcome, missed)] == [
            "bye", "error", "open", "welcome", "message"]
        assert bye["id"] == ids[-1] and error["state"] == 0  # it connects again
        assert welcome["id"] == ids[-1]
        assert missed["data"]["message"] == "while away"
        tab.run("source.close()")
        wait_until(lambda: not server.http.get("/users/ann").json()["online"])


def test_an_event_source_keeps_its_cursor_over_a_gap(browser, start, site):
    server = start("--broker", "memory", "--keep-messages", "10")
    ids = [tell(server, n, receiver="ann")["id"] for n in range(40)]
    with Tab(browser, site(server) + "/streams.html") as tab:
        tab.run(f"void listen('?after={ids[5]}')")
        _, welcome, gap, first = events(tab, 4)
        assert welcome["id"] == ids[5]
        assert gap["type"] == "gap" and gap["id"] == ids[5] == gap["data"]["after"]
        assert gap["data"]["resumes"] < first["id"]


def test_an_event_source_stays_away_from_where_it_is_refused(browser, start, site):
    server = start()
    with Tab(browser, site(server) + "/streams.html") as tab:
        tab.run("void listen('?after=x')")
        (error,) = events(tab, 1)
        assert error["type"] == "error" and error["state"] == 2  # for good
    evil = site(server).replace("localhost", "evil.example")
    with Tab(browser, evil + "/streams.html") as tab:
        tab.run("void listen('')")
        (error,) = events(tab, 1)
        assert error["type"] == "error" and error["state"] == 2
        assert tab.run("poll('?wait=0').catch(() => 'unreadable')") == "unreadable"
    assert server.metric("refused_total", code="origin_not_allowed") == 2
    assert server.metric("sessions") == 0


# ---- all of them ----

def test_a_page_changes_its_transport_and_misses_nothing(browser, start, site):
    server = start()
    with Tab(browser, site(server) + "/streams.html") as tab:
        tab.run("void (window.socket = connect('?channels=a'))")
        (welcome,) = events(tab, 1)
        cursor = tell(server, 1, channel="a")["id"]
        assert events(tab, 2)[1]["id"] == cursor > welcome["data"]["cursor"]
        tab.run("socket.close(1000)")
        assert events(tab, 3)[2] == {"type": "close", "code": 1000}

        tell(server, 2, receiver="ann")
        tab.run(f"void (window.source = listen('?channels=a&after={cursor}'))")
        second = tell(server, 3, channel="a")["id"]
        assert [e["data"]["message"] for e in events(tab, 7)[5:]] == [2, 3]
        tab.run("source.close()")

        tell(server, 4, channel="a")
        page = tab.run(f"poll('?channels=a&after={second}')")
        assert [m["message"] for m in page["messages"]] == [4]
        tab.run(f"void (window.next = poll('?channels=a&after={page['next']}&wait=20'))")
        wait_until(lambda: server.metric("sessions", transport="poll") == 1)
        tell(server, 5, receiver="ann")
        assert [m["message"] for m in tab.run("window.next")["messages"]] == [5]
        assert tab.complaints() == []


def test_a_page_sends_and_subscribes_by_frames(browser, start, site):
    server = start()
    with Tab(browser, site(server) + "/streams.html") as tab, session(server, "bob") as bob:
        tab.run("void (window.socket = connect(''))")
        events(tab, 1)
        tab.run("""socket.send(JSON.stringify({ type: 'subscribe', channel: 'a' }));
                   socket.send(JSON.stringify({ type: 'send', ref: 1, receiver: 'bob',
                                                message: { title: 'Hi' } }))""")
        _, subscribed, sent = events(tab, 3)
        assert subscribed["data"] == {"type": "subscribed", "channel": "a"}
        assert sent["data"]["ref"] == 1 and sent["data"]["delivered"] == 1
        got = bob.recv_json()
        assert got["sender"] == "ann" and got["message"] == {"title": "Hi"}
        tell(server, "news", channel="a")
        assert events(tab, 4)[3]["data"]["message"] == "news"


def test_a_closed_tab_is_noticed(browser, start, site):
    server = start()
    with Tab(browser, site(server) + "/streams.html") as tab:
        tab.run("void listen(''), void connect(''), void poll('?wait=50')")
        wait_until(lambda: server.metric("sessions") == 3)
    wait_until(lambda: server.metric("sessions") == 0, 5)
