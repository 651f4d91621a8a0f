"""What a release has left in its data folder, the server of today opens, and finds all of it."""

import json
import shutil

import pytest

from frames import Client
from harness import DURABLE, ROOT, run_binary

KEY = "pw_release_" + 48 * "7"
HEAD = {"Authorization": f"Bearer {KEY}"}
FOREVER = ("--ttl", "3650d", "--ttl-max", "3650d", "--idempotency-ttl", "3650d")
RELEASES = sorted(path.name for path in (ROOT / "tests/data").iterdir() if path.is_dir())

pytestmark = pytest.mark.skipif(not DURABLE, reason="memory has no data folder")


@pytest.fixture(params=RELEASES)
def left(request, tmp_path):
    """A copy, with the modes it had."""
    copy = tmp_path / "left"
    shutil.copytree(ROOT / "tests/data" / request.param, copy)
    (copy / "data").chmod(0o700)
    for file in (copy / "data").iterdir():
        file.chmod(0o600)
    return copy


def test_everything_is_found_again(left, start):
    ids = json.loads((left / "sent.json").read_text())
    assert run_binary("check-data", "--data-dir", str(left / "data")).returncode == 0
    server = start("--data-dir", left / "data", "--keys-file", left / "keys", *FOREVER)

    def ask(path):
        answer = server.http.get(path, headers=HEAD)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(path, body):
        answer = server.http.post(path, json=body, headers=HEAD)
        assert answer.status_code == 200, answer.text
        return answer.json()

    mail = ask("/users/alice/messages?after=0")
    assert mail["gap"] is None
    assert [(m["id"], m["message"]) for m in mail["messages"]] == [
        (ids[0], "hi"), (ids[1], {"title": "한글", "n": 1.50}), (ids[2], [None]), (ids[5], "once")]
    news, = ask("/channels/news/messages?after=0")["messages"]
    assert (news["id"], news["message"]) == (ids[3], "read all about it")
    ack, = ask(f"/messages/{ids[2]}")["acks"]
    assert (ack["user"], ack["device"]) == ("carol", "phone")

    again = post("/send-message", {"sender": "bob", "receiver": "alice", "message": "once", "key": "once"})
    assert again["duplicate"] and again["id"] == ids[5]
    new = post("/send-message", {"sender": "bob", "receiver": "carol", "message": "new"})
    assert new["id"] > ids[-1]

    token = post("/tokens", {"user": "carol"})["token"]
    with Client(server.port, f"/ws/carol?format=json&device=phone&token={token}") as client:
        assert client.recv_json()["type"] == "welcome"
        assert [client.recv_json()["message"] for _ in range(2)] == ["to all", "new"]
