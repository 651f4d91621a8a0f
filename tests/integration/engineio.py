"""A client of Engine.IO and Socket.IO that says exactly what it is told, over httpx, websockets and raw
sockets."""

import asyncio
import base64
import contextlib
import json

import httpx
import websockets

from harness import DEADLINE

SEPARATOR = "\x1e"
PING_INTERVAL = 0.3  # of --dev-socketio
PING_TIMEOUT = 0.2


class Door:
    """One path of a server, as a client sees it."""

    def __init__(self, server, path="/socket.io/"):
        self.server = server
        self.path = path
        self.http = httpx.AsyncClient(base_url=server.url, timeout=DEADLINE, trust_env=False)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await self.http.aclose()

    def target(self, sid=None, transport="polling", **query):
        query = {"EIO": "4", "transport": transport, **query}
        if sid:
            query["sid"] = sid
        return self.path + "?" + "&".join(f"{k}={v}" for k, v in query.items() if v is not None)

    async def get(self, sid=None, **query):
        return await self.http.get(self.target(sid, **query))

    async def post(self, sid, body, **headers):
        return await self.http.post(self.target(sid), content=body,
                                    headers={"Content-Type": "text/plain;charset=UTF-8", **headers})

    async def handshake(self, **query):
        """A new connection by polling; its greeting."""
        answer = await self.get(**query)
        assert answer.status_code == 200, answer.text
        assert answer.text[0] == "0"
        return json.loads(answer.text[1:])

    async def open(self, **query):
        return (await self.handshake(**query))["sid"]

    async def poll(self, sid):
        """The packets of the next poll."""
        answer = await self.get(sid)
        assert answer.status_code == 200, answer.text
        return answer.text.split(SEPARATOR)

    async def poll_past_pings(self, sid, count):
        """So many packets that are no pings, which are answered."""
        packets = []
        while len(packets) < count:
            for packet in await self.poll(sid):
                if packet == "2":
                    await self.say(sid, "3")
                else:
                    packets.append(packet)
        return packets

    async def say(self, sid, *packets):
        answer = await self.post(sid, SEPARATOR.join(packets))
        assert (answer.status_code, answer.text) == (200, "ok"), answer.text

    def ws(self, sid=None, **query):
        return websockets.connect(self.server.ws_url(self.target(sid, "websocket", **query)),
                                  open_timeout=DEADLINE, close_timeout=DEADLINE,
                                  ping_interval=None)

    @contextlib.asynccontextmanager
    async def upgrade(self, sid):
        """A WebSocket that has taken over."""
        async with self.ws(sid) as socket:
            await socket.send("2probe")
            assert await heard(socket) == "3probe"
            await socket.send("5")
            yield socket


async def heard(socket):
    return await asyncio.wait_for(socket.recv(), DEADLINE)


async def heard_past_pings(socket):
    while True:
        packet = await heard(socket)
        if packet != "2":
            return packet
        await socket.send("3")


async def greeted(socket):
    packet = await heard(socket)
    assert packet[0] == "0"
    return json.loads(packet[1:])


async def closed(socket):
    """Its close code, once the server has closed it."""
    try:
        while True:
            await heard(socket)
    except websockets.ConnectionClosed:
        return socket.close_code


def refusal(answer):
    return answer.status_code, answer.json()["code"], answer.json()["message"]


def as_bytes(packet):
    assert packet[0] == "b"
    return base64.b64decode(packet[1:])
