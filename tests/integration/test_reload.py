"""SIGHUP: keys, secrets, origins and limits change while the server runs, all or nothing."""

import asyncio
import json
import re
import signal

import pytest

from frames import Client, text
from guarded import OTHER_SECRET, SECRET, Files, bearer, draw, key_line, reload_by, token
from harness import run, run_binary, scaled, wait_until

pytestmark = pytest.mark.workers

MESSAGE = {"sender": "x", "receiver": "ada", "message": 1}


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "files")


def send_status(server, key):
    return server.http.post("/send-message", json=MESSAGE, headers=bearer(key)).status_code


def test_keys_come_and_go(start, files):
    server = start(*files.args)
    added = draw("added")
    assert send_status(server, added) == 401
    files.write_keys(key_line("added", added))
    reload_by(server, signal.SIGHUP)
    wait_until(lambda: send_status(server, added) == 200)
    assert send_status(server, files.keys["plain"]) == 200
    files.write_keys()
    reload_by(server, signal.SIGHUP)
    wait_until(lambda: send_status(server, added) == 401)


def test_metrics_tell_which_keys_are_in_use(start, files):
    server = start(*files.args)

    def uses(name):
        text = server.http.get("/metrics", headers=files.as_key("reader")).text
        return int(re.search(rf'pushwire_key_uses_total{{key="{name}"}} (\d+)', text)[1])

    for _ in range(3):
        send_status(server, files.keys["plain"])
    assert (uses("plain"), uses("sender")) == (3, 0)
    reload_by(server, signal.SIGHUP)
    assert send_status(server, files.keys["plain"]) == 200
    wait_until(lambda: uses("plain") == 4)
    text = server.http.get("/metrics", headers=files.as_key("reader")).text
    assert not any(key in text for key in files.keys.values())


def test_a_broken_file_changes_nothing(start, files):
    server = start(*files.args, "--allowed-origins", "https://a.example")
    good = files.keys_file.read_text()
    behind = good.count("\n") + 1
    for broken, where in ((good + "nonsense\n", f":{behind}: after the id"),
                          (good * 2, "taken by another")):
        files.keys_file.write_text(broken)
        reload_by(server, signal.SIGHUP, "nothing was reloaded")
        assert where in server.log[-1], server.log[-1]
        assert send_status(server, files.keys["plain"]) == 200
    files.keys_file.write_text(good)
    files.secret_file.write_text("short\n")
    reload_by(server, signal.SIGHUP, "nothing was reloaded")
    files.secret_file.unlink()
    reload_by(server, signal.SIGHUP, "nothing was reloaded")
    assert server.http.get("/poll/ada?wait=0", headers=bearer(token("ada"))).status_code == 200


def test_the_file_of_the_configuration_is_read_again(start, files, tmp_path):
    conf = tmp_path / "pushwire.yaml"
    conf.write_text("max_message: 2KiB\nheartbeat: 25s\nallowed_origins: https://a.example\n")
    server = start("--config", conf, *files.args)
    big = {**MESSAGE, "message": "x" * 3000}
    key = {**files.as_key("plain"), "Origin": "https://b.example"}
    assert server.http.post("/send-message", json=MESSAGE, headers=key).status_code == 403
    conf.write_text("max_message: 4KiB\nheartbeat: 26s\nallowed_origins: https://b.example\n"
                    "log_level: debug\n")
    reload_by(server, signal.SIGHUP)
    wait_until(lambda: server.http.post("/send-message", json=big, headers=key).status_code == 200)
    assert any("needs a restart" in line and "key=heartbeat" in line for line in server.log)
    assert not any("needs a restart" in line and "max_message" in line for line in server.log)
    conf.write_text("max_massage: 4KiB\n")
    reload_by(server, signal.SIGHUP, "nothing was reloaded")
    assert "did you mean max_message" in server.log[-1]
    assert server.http.post("/send-message", json=big, headers=key).status_code == 200


def test_the_files_stay_those_of_the_start(start, files, tmp_path):
    """A reload must not open a door, and not by mistake move to another lock."""
    conf = tmp_path / "pushwire.yaml"
    conf.write_text(f"keys_file: {files.keys_file}\n")
    server = start("--config", conf, "--data-dir", tmp_path / "data")
    conf.write_text("{}\n")
    reload_by(server, signal.SIGHUP)
    assert any("needs a restart" in line and "keys_file" in line for line in server.log)
    assert server.http.post("/send-message", json=MESSAGE).status_code == 401
    assert send_status(server, files.keys["plain"]) == 200


def test_secrets_rotate_and_nobody_is_cut_off(start, files):
    server = start(*files.args)

    def polls(made):
        return server.http.get("/poll/ada?wait=0", headers=bearer(made)).status_code

    old, new = token("ada"), token("ada", secret=OTHER_SECRET)
    with Client(server.port, f"/ws/ada?format=json&token={old}") as client:
        assert client.recv_json()["type"] == "welcome"
        files.secret_file.write_text(f"{OTHER_SECRET}\n{SECRET}\n")  # the new one signs
        reload_by(server, signal.SIGHUP)
        wait_until(lambda: polls(new) == 200)
        assert polls(old) == 200
        files.secret_file.write_text(f"{OTHER_SECRET}\n")
        reload_by(server, signal.SIGHUP)
        wait_until(lambda: polls(old) == 401)
        assert polls(new) == 200
        client.alive()  # it is held to its token's end, not to its secret
        client.send(text(json.dumps({"type": "auth", "token": new})))
        assert client.recv_json()["type"] == "renewed"


def test_rotation_under_load_loses_nobody(start, files):
    """Two keys and two secrets overlap; whoever uses one of each is served all along."""
    server = start(*files.args)
    new = draw("new")
    count = scaled(300, 40)
    got = []

    async def receive(secret, ready):
        made = token("ada", secret=secret)
        protocols = ["pushwire.v1.json", f"bearer.{made}"]
        ids = []
        async with server.ws("/ws/ada", subprotocols=protocols) as socket:
            assert json.loads(await socket.recv())["type"] == "welcome"
            ready.set()
            while len(ids) < count:
                ids.append(json.loads(await socket.recv())["id"])
        return ids

    def publish(number):
        key = files.keys["plain"] if number < count // 2 else new
        answer = server.http.post("/send-message", headers=bearer(key),
                                  json={**MESSAGE, "message": number})
        assert answer.status_code == 200, answer.text
        got.append(answer.json()["id"])

    async def scenario():
        readies = [asyncio.Event(), asyncio.Event()]
        receivers = [asyncio.create_task(receive(SECRET, ready)) for ready in readies]
        await asyncio.gather(*(ready.wait() for ready in readies))
        for number in range(count):
            if number == count // 4:
                files.write_keys(key_line("new", new))
                files.secret_file.write_text(f"{OTHER_SECRET}\n{SECRET}\n")
                await asyncio.to_thread(reload_by, server, signal.SIGHUP)
                await asyncio.to_thread(wait_until, lambda: server.http.post(
                    "/users/query", headers=bearer(new), json={}).status_code == 403)
            if number == 3 * count // 4:
                del files.keys["plain"]
                files.write_keys(key_line("new", new))
                await asyncio.to_thread(reload_by, server, signal.SIGHUP)
            await asyncio.to_thread(publish, number)
        for ids in await asyncio.gather(*receivers):
            assert ids == got

    run(scenario())


# ---- the commands ----

def test_key_new_prints_the_key_once_and_its_line(tmp_path):
    done = run_binary("key", "new", "--scope", "send,read", "--sender", "bill", "--prefix", "acme:")
    assert (done.returncode, done.stderr) == (0, "")
    first, line = done.stdout.splitlines()
    key = first.split()[-1]
    name = key.split("_")[1]
    assert line.startswith(key_line(name, key, "send,read", sender="bill", prefix="acme:").strip())
    assert " created=20" in line


def test_key_new_appends_to_the_file(start, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("# no end of line")
    done = run_binary("key", "new", "--id", "shop", "--keys-file", keys)
    assert (done.returncode, done.stderr) == (0, "")
    key, = [line.split()[-1] for line in done.stdout.splitlines()]
    assert key.startswith("pw_shop_") and key not in keys.read_text()
    done = run_binary("--keys-file", keys, "key", "new", "--scope=manage")  # as configured
    assert len(keys.read_text().splitlines()) == 3
    server = start("--keys-file", keys)
    assert send_status(server, key) == 200


@pytest.mark.parametrize("args", [
    ["key"], ["key", "old"], ["key", "new", "--scope", "write"], ["key", "new", "--scope"],
    ["key", "new", "--id", "a_b"], ["key", "new", "--sender", "a]"], ["key", "new", "x"],
    ["token"], ["token", "--user", "a/b"], ["token", "--user", "ada"],
    ["token", "--user", "ada", "--ttl", "1"], ["token", "--nobody", "ada"],
])
def test_commands_say_what_they_want(args, tmp_path):
    done = run_binary(*args, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert any(word in done.stderr for word in ("--", "scope", "is 1 to", "keys_file", "no flag"))
    assert list(tmp_path.iterdir()) == []


def test_the_token_command_makes_what_the_server_takes(start, files):
    done = run_binary(*map(str, files.args), "token", "--user", "ada", "--ttl", "1h",
                      "--channels", "news,team-*", "--publish", "*")
    assert (done.returncode, done.stderr) == (0, "")
    server = start(*files.args)
    made = done.stdout.strip()
    with Client(server.port, f"/ws/ada?format=json&channels=news,team-x&token={made}") as client:
        assert client.recv_json()["type"] == "welcome"
    answer = server.http.post("/send-message", headers=bearer(made), json={
        "receiver": "bob", "message": 1})
    assert answer.status_code == 200


@pytest.mark.parametrize("flag,content,said", [
    ("--keys-file", None, "No such file"), ("--keys-file", "x y z\n", "keys:1: after the id"),
    ("--jwt-secret-file", "short\n", "1: a secret has at least 32 bytes"),
    ("--jwt-secret-file", "", "there is no secret in it"),
    ("--jwks-file", "{}", "this is no JWK set"), ("--jwks-file", '{"keys":[]}', "no key in it"),
])
def test_a_bad_file_ends_the_start(tmp_path, flag, content, said):
    path = tmp_path / "keys"
    if content is not None:
        path.write_text(content)
    done = run_binary("--listen", "127.0.0.1:0", flag, str(path), cwd=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr and "keys" in done.stderr, done.stderr
