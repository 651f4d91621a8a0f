"""The pages and programs of chat tutorials, written anew from what they do: docs/tutorials.md."""

import asyncio

import pytest
import websockets

from chromium import open_chromium
from frames import Client, text
from harness import run, wait_until

# What those pages have in common: a list, a field, a button, and one line with the address.
PAGE = """<!doctype html><title>Chat</title><ul id="messages"></ul>
<form id="form"><input id="input"><button>Send</button></form><script>
const socket = new WebSocket('ADDRESS');
const form = document.getElementById('form'), input = document.getElementById('input');
socket.onopen = () => { document.title = 'open'; };
socket.onmessage = event => {
  const item = document.createElement('li');
  item.textContent = event.data;
  document.getElementById('messages').appendChild(item);
};
form.addEventListener('submit', event => {
  event.preventDefault();
  socket.send(input.value);
  input.value = '';
});
</script>"""


@pytest.fixture(scope="module")
def chromium():
    made = open_chromium()
    yield made
    made.close()


def sessions(server, channel):
    return server.http.get(f"/channels/{channel}").json()["sessions"]


def talk(browser, url, beside):
    """Two tabs of a page, which hear each other and themselves; and somebody beside them."""
    tabs = [browser.open(url), browser.open(url)]
    for tab in tabs:
        tab.until("document.title === 'open'")
    for tab, said in zip(tabs, ("from the first", "from the second")):
        tab.fill("#input", said)
        tab.click("button")
        for hears in tabs:
            hears.shows(f"li:text-is('{said}')")
        assert beside.recv_data().text == said
    assert [tab.texts("li") for tab in tabs] == [["from the first", "from the second"]] * 2


def test_node_ws_on_the_root_with_its_page_from_the_same_port(chromium, start, tmp_path):
    (tmp_path / "public").mkdir()
    server = start("--public", tmp_path / "public")
    page = PAGE.replace("ADDRESS", f"ws://localhost:{server.port}")
    (tmp_path / "public" / "index.html").write_text(page)
    with Client(server.port, "/") as beside:
        talk(chromium, f"http://localhost:{server.port}/", beside)


def test_flask_sock_on_ws(chromium, start, tmp_path):
    (tmp_path / "public").mkdir()
    server = start("--public", tmp_path / "public")
    page = PAGE.replace("ADDRESS", f"ws://localhost:{server.port}/ws")
    (tmp_path / "public" / "chat.html").write_text(page)
    with Client(server.port, "/ws") as beside:
        talk(chromium, f"http://localhost:{server.port}/chat.html", beside)


def test_a_page_opened_by_a_double_click(chromium, start, tmp_path):
    server = start("--allowed-origins", "null")
    (tmp_path / "chat.html").write_text(PAGE.replace("ADDRESS", f"ws://localhost:{server.port}"))
    with Client(server.port, "/") as beside:
        talk(chromium, f"file://{tmp_path}/chat.html", beside)


@pytest.mark.workers
def test_python_websockets_with_exit(start):
    server = start("--root-room", "room", "--root-greeting", "Say /exit to leave")
    url = f"ws://localhost:{server.port}"

    async def chat():
        async with websockets.connect(url) as ann, websockets.connect(url) as ben:
            for client in ann, ben:
                assert await client.recv() == "Say /exit to leave"
            await asyncio.to_thread(wait_until, lambda: sessions(server, "room:root") == 2)
            await ann.send("hello")
            who, _, said = (await ben.recv()).partition(": ")
            assert said == "hello" and who.startswith("guest-")
            await ben.send("hello yourself")
            assert (await ann.recv()).endswith(": hello yourself")  # and not its own
            await ann.send("/exit")
            with pytest.raises(websockets.ConnectionClosed) as ended:
                await ann.recv()
            assert ended.value.code == 1000
            await asyncio.to_thread(wait_until, lambda: sessions(server, "room:root") == 1)

    run(chat())


def test_a_backend_speaks_where_the_page_listens(start):
    server = start()
    with Client(server.port, "/") as client:
        wait_until(lambda: sessions(server, "lobby") == 1)
        server.http.post("/send-message", json={"sender": "shop", "channel": "lobby", "ttl": 0,
                                                "event": "sale", "message": "from curl"})
        assert client.recv_data().text == "from curl"
        client.send(text("thanks"))
        assert client.recv_data().text == "thanks"
