"""A server that answers as it was told, once each, and notes what it was asked."""

import json
import pathlib
import socket
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "src"))

DEADLINE = 20.0
SENT = {"status": "Message sent", "id": "1893456789012345678", "delivered": 2, "kept": True,
        "durable": True}


def answer(status=200, body=SENT, *fields):
    """The bytes of an answer; body is what becomes JSON, or bytes."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def problem(status, code, *fields, **more):
    return answer(status, {"status": status, "code": code, "detail": "so it is", **more}, *fields)


CLOSE = b""  # no answer: the connection is closed


class Scripted:
    def __init__(self):
        self.answers = []
        self.asked = []  # (number of the connection, request line, fields, body)
        self.connections = 0
        self.last_answers = False  # close each connection behind its answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def will(self, *answers):
        self.answers += answers

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(sock)
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock, number):
        with sock, sock.makefile("rb") as file:
            while line := file.readline():
                fields = {}
                while (field := file.readline().strip()):
                    name, _, value = field.decode().partition(": ")
                    fields[name.lower()] = value
                body = file.read(int(fields.get("content-length", 0)))
                self.asked.append((number, line.decode().strip(), fields, body))
                if not self.answers:
                    threading.Event().wait(DEADLINE)  # says nothing
                told = self.answers.pop(0)
                if told is CLOSE:
                    return
                sock.sendall(told)
                if self.last_answers:
                    return

    def bodies(self):
        return [json.loads(body) for _, _, _, body in self.asked]

    def close(self):
        self.listener.close()
        for sock in self.open:
            sock.close()


@pytest.fixture
def server():
    made = Scripted()
    yield made
    made.close()
