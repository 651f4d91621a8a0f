"""The senders of sdk/: each message arrives once, though their server is killed again and again."""

import socket
import threading

import pytest

from crowd import mail
from harness import DEADLINE, DURABLE, AnswerReader, scaled
from senders import SENDERS, Pushwire

from pushwire import PushwireError, sign_token

pytestmark = pytest.mark.skipif(not DURABLE, reason="what is in memory ends with its process")


def as_acknowledged(server, acknowledged):
    found, gap = mail(server, "ann")
    assert gap is None
    assert [(m["message"], m["id"]) for m in found] == [(n, at) for n, at, _ in acknowledged]


@pytest.mark.parametrize("kind,batch", [("python", 1), ("python", 7), ("asyncio", 1), ("node", 1),
                                        ("node", 7)])
def test_each_arrives_once_while_the_server_is_killed_in_a_loop(start, kind, batch):
    server = start()
    sender = SENDERS[kind](server.url, batch).begin()
    for _ in range(scaled(5, least=2)):
        sender.after(3 * batch)
        server.kill()
        server = start(listen=server.address, folder=server.folder)
    sender.after(batch)
    as_acknowledged(server, sender.finish())


class Thief:
    """Stands before a server. It kills it when it has the answer to the first request, which it keeps to
    itself; what comes later is carried to the server that is there then."""

    def __init__(self, listener, server):
        self.listener, self.server = listener, server
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.has_it = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            with near:
                self._serve(near)

    def _serve(self, near):
        request = b""
        near.settimeout(DEADLINE)
        try:
            while b"\r\n\r\n" not in request or not request.endswith((b"}", b"}\n")):
                more = near.recv(65536)
                if not more:
                    return
                request += more
            with self.server.connect() as far:
                far.sendall(request)
                answer = AnswerReader(far).next()
        except OSError:
            return
        if not self.has_it.is_set():
            assert answer.status == 200
            self.server.kill()
            self.has_it.set()
            return
        near.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" %
                     (len(answer.body), answer.body))


@pytest.mark.parametrize("kind,batch", [("python", 1), ("python", 3), ("asyncio", 1), ("node", 1),
                                        ("node", 3)])
def test_what_was_taken_without_an_answer_is_not_sent_twice(start, kind, batch):
    server = start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thief = Thief(listener, server)
        sender = SENDERS[kind](thief.url, batch).begin()
        assert thief.has_it.wait(DEADLINE)
        thief.server = start(folder=server.folder)
        sender.after(batch)
        acknowledged = sender.finish()
    as_acknowledged(thief.server, acknowledged)
    assert [duplicate for _, _, duplicate in acknowledged[:batch]] == [True] * batch


def test_tokens_that_are_asked_for_and_that_are_signed_let_a_user_in(guarded, files, user):
    with Pushwire(guarded.url, key=files.keys["minter"]) as minter:
        asked = minter.token(user, channels=["news"], ttl=60)
    signed = sign_token(files.secret_file.read_text().strip(), user, channels=["news"])
    for token in (asked.token, signed):
        answer = guarded.http.get(f"/users/{user}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
    with Pushwire(guarded.url, key=files.keys["manager"]) as manager:
        assert manager.revoke(user) == 0
    with Pushwire(guarded.url, key=files.keys["reader"]) as reader, \
            pytest.raises(PushwireError) as caught:
        reader.send(user, "hi", sender="bob")
    assert (caught.value.code, caught.value.status) == ("missing_scope", 403)


def test_a_unix_socket_will_do(start, tmp_path, user):
    path = tmp_path / "http.sock"
    start(listen=f"127.0.0.1:0,unix:{path}")
    with Pushwire(f"unix:{path}", sender="bob") as push:
        sent = push.send(user, {"title": "hi"})
        assert [m.id for m in push.history(user).messages] == [sent.id]
        assert not push.presence([user])[user].online
