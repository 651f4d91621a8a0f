"""A WebSocket client on bytes, for tests that must send what no library would.

Frames go out exactly as asked for, right or wrong; what comes in is parsed strictly, so that a
server that sends a wrong frame fails the test that met it. Nothing is answered by itself: no pong,
no Close."""

import base64
import hashlib
import json
import os
import socket
import struct
import time
from typing import NamedTuple

from contract import CONTRACT, Conversation

CONTINUE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3
SAMPLE_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class Ended(Exception):
    """The server ended the TCP connection; `reset`: by RST."""

    def __init__(self, reset=False):
        super().__init__("reset" if reset else "end of stream")
        self.reset = reset


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True

    @property
    def code(self):
        """Of a Close; None when it carries none."""
        return struct.unpack(">H", self.payload[:2])[0] if self.payload else None

    @property
    def text(self):
        return self.payload.decode()

    @property
    def json(self):
        return json.loads(self.payload)


def mask_bytes(payload, mask):
    if not payload:
        return b""
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(
        len(payload), "big"
    )


def header(opcode, size, fin=True, rsv=0, mask=b"\x37\xfa\x21\x3d", form=None):
    """The header alone. `form` is the seven bits of the length: 126 and 127 choose the longer
    forms for sizes that do not need them. `mask=None` leaves the frame unmasked."""
    first = (FIN if fin else 0) | rsv << 4 | opcode
    if form is None:
        form = size if size < 126 else 126 if size < 65536 else 127
    length = {126: struct.pack(">H", size & 0xFFFF), 127: struct.pack(">Q", size)}.get(form, b"")
    second = (0x80 if mask is not None else 0) | form
    return bytes([first, second]) + length + (mask or b"")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=b"\x37\xfa\x21\x3d", form=None):
    if isinstance(payload, str):
        payload = payload.encode()
    body = payload if mask is None else mask_bytes(payload, mask)
    return header(opcode, len(payload), fin, rsv, mask, form) + body


class Text(bytes):
    """A text frame, which knows what it says."""

    said = None


def text(payload, **bits):
    made = Text(frame(TEXT, payload, **bits))
    made.said = payload
    return made


def close(code=None, reason=b""):
    return frame(CLOSE, (struct.pack(">H", code) if code is not None else b"") + reason)


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def request(path, headers=(), key=SAMPLE_KEY, method="GET", version="HTTP/1.1", host="localhost"):
    """A handshake. `headers` replaces defaults of the same name; None leaves one out."""
    fields = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
    }
    fields.update(dict(headers))
    lines = [f"{method} {path} {version}"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n"


class Answer(NamedTuple):
    """The answer to a handshake."""

    status: int
    headers: dict  # names in lower case
    body: bytes

    @property
    def code(self):
        return json.loads(self.body)["code"]


class Client:
    """One connection. It opens with the handshake, unless `handshake=False`."""

    def __init__(self, port, path="/ws-echo", headers=(), timeout=10, early=b"", handshake=True,
                 receive_buffer=None):
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        if receive_buffer:  # before connecting: it sets the window that is offered
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.conversation = None
        if handshake:
            self.answer = self.ask(request(path, headers), early)
            assert self.answer.status == 101, self.answer
            assert self.answer.headers["sec-websocket-accept"] == SAMPLE_ACCEPT
            self.conversation = Conversation(
                path, self.answer.headers.get("sec-websocket-protocol"))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    # ---- bytes ----

    def send(self, data):
        if self.conversation and isinstance(data, Text):
            self.conversation.spoke(data.said)
        self.socket.sendall(data)

    def send_chopped(self, data, size=1, pause=0.0):
        """Each piece is a segment of its own, as far as the two kernels keep them apart."""
        for at in range(0, len(data), size):
            self.socket.sendall(data[at : at + size])
            time.sleep(pause)

    def shutdown(self):
        self.socket.shutdown(socket.SHUT_WR)

    def abort(self):
        """Ends with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _fill(self):
        try:
            data = self.socket.recv(262144)
        except ConnectionError as error:
            raise Ended(reset=True) from error
        if not data:
            raise Ended()
        self.received += data

    def _look(self, size):
        while len(self.received) < size:
            self._fill()
        return bytes(self.received[:size])

    def _take(self, size):
        data = self._look(size)
        del self.received[:size]
        return data

    # ---- the handshake ----

    def ask(self, head, early=b""):
        """Sends a request and reads the answer to it; what follows a 101 stays for later."""
        self.send(head + early)
        while b"\r\n\r\n" not in self.received:
            self._fill()
        end = self.received.index(b"\r\n\r\n") + 4
        lines = self._take(end)[:-4].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        status = int(lines[0].split()[1])
        body = self._take(int(headers.get("content-length", 0))) if status != 101 else b""
        method, target, *_ = head.decode("latin-1").split("\r\n")[0].split(" ") + ["", ""]
        if method and not target.startswith("/devtools/"):  # Chromium's
            CONTRACT.exchange(method, target, {}, b"", status, headers, body)
        return Answer(status, headers, body)

    # ---- frames ----

    def recv(self):
        """The next frame, whatever it is. After a timeout it may be called again."""
        first, second = self._look(2)
        assert not first & 0x70, "the server sent a reserved bit"
        assert not second & 0x80, "the server sent a masked frame"
        opcode, size, start = first & 0x0F, second & 0x7F, 2
        assert opcode in (CONTINUE, TEXT, BINARY, CLOSE, PING, PONG)
        if size == 126:
            (size,), start = struct.unpack(">H", self._look(4)[2:]), 4
            assert size > 125, "the server sent a length that is not minimal"
        elif size == 127:
            (size,), start = struct.unpack(">Q", self._look(10)[2:]), 10
            assert size > 65535, "the server sent a length that is not minimal"
        if opcode >= CLOSE:
            assert size <= 125 and first & FIN, "the server sent a wrong control frame"
        got = Frame(opcode, self._take(start + size)[start:], bool(first & FIN))
        if self.conversation and opcode == TEXT and got.fin:
            self.conversation.heard(got.text)
        return got

    def recv_data(self):
        """The next text or binary frame; pings are answered, as a good client does."""
        while True:
            got = self.recv()
            if got.opcode == PING:
                self.send(frame(PONG, got.payload))
            elif got.opcode != PONG:
                return got

    def recv_json(self):
        got = self.recv_data()
        assert got.opcode == TEXT, got
        return got.json

    def recv_close(self):
        """Skips to the server's Close and returns it."""
        while True:
            got = self.recv()
            if got.opcode == CLOSE:
                return got

    def recv_end(self):
        """The server ends TCP in order, without another byte."""
        assert not self.received, bytes(self.received[:100])
        try:
            data = self.socket.recv(1)
        except ConnectionError as error:
            raise Ended(reset=True) from error
        assert data == b"", data

    def expect_close(self, code):
        """The server closes with `code`, and then ends TCP by FIN once we have answered."""
        got = self.recv_close()
        assert got.code == code, (got.code, got.payload)
        try:
            self.send(frame(CLOSE, got.payload[:2]))
            self.shutdown()
        except OSError:
            pass
        self.recv_end()

    def quiet(self, seconds=0.2):
        """True if nothing comes for a while."""
        self.socket.settimeout(seconds)
        try:
            return not self.received and self.socket.recv(1) is None
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(10)

    def alive(self, payload=b"still there?"):
        """Skips to the pong that answers our ping."""
        self.send(frame(PING, payload))
        while True:
            got = self.recv()
            assert got.opcode != CLOSE, got
            if got == Frame(PONG, payload):
                return True


def random_mask():
    return os.urandom(4)
