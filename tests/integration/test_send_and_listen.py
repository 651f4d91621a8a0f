"""pushwire send, listen and health against a server: what they print, and how they end."""

import json
import os
import subprocess
import threading
import time

import pytest

from guarded import token
from harness import BINARY, DEADLINE, Server, clean_environment, run_binary, wait_until


def call(server, *args, key=None, given=None, env=None):
    """Runs the binary against this server to its end."""
    more = {"PUSHWIRE_URL": server.url, **({"PUSHWIRE_KEY": key} if key else {}), **(env or {})}
    return subprocess.run([BINARY, *args], input=given, stdin=None if given else subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=3 * DEADLINE,
                          env=clean_environment(**more))


class Listening:
    """`pushwire listen` in the background, with the lines it has printed so far."""

    def __init__(self, server, *args, env=None):
        self.lines = []
        self.process = subprocess.Popen(
            [BINARY, "listen", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=clean_environment(PUSHWIRE_URL=server.url, **(env or {})))
        self._pump = threading.Thread(target=self._read, daemon=True)
        self._pump.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait(self):
        code = self.process.wait(DEADLINE)
        self._pump.join(DEADLINE)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._pump.join(DEADLINE)
        self.process.stdout.close()
        self.process.stderr.close()


def tell(server, **fields):
    answer = server.http.post("/send-message", json={"sender": "bob", **fields})
    assert answer.status_code == 200, answer.text


def sessions(server, user):
    return server.http.get(f"/users/{user}").json()["sessions"]


# ---- sending ----

def test_a_message_is_sent_and_its_id_printed(shared):
    done = call(shared, "send", "anna", "hi")
    assert (done.returncode, done.stderr) == (0, "")
    word, name, delivered = done.stdout.split()
    assert (word, delivered) == ("sent", "delivered=0")
    kept, = shared.http.get("/users/anna/messages").json()["messages"]
    assert kept["id"] == name and kept["message"] == "hi"


def test_json_goes_as_it_is_written(shared):
    text = '{"price": 19.990, "n": 123456789012345678901234567890}'
    assert call(shared, "send", "bert", "--json", text, "--sender", "shop").returncode == 0
    answer = shared.http.get("/users/bert/messages")
    assert "19.990" in answer.text and "123456789012345678901234567890" in answer.text
    assert answer.json()["messages"][0]["sender"] == "shop"


def test_the_same_once_is_sent_but_once(shared):
    first = call(shared, "send", "carl", "hi", "--once", "a")
    second = call(shared, "send", "carl", "hi", "--once", "a")
    assert second.stdout == f"{' '.join(first.stdout.split()[:2])} duplicate\n"
    assert len(shared.http.get("/users/carl/messages").json()["messages"]) == 1


def test_a_channel_and_everyone(shared):
    with Listening(shared, "dora", "--channels", "news,other") as listening:
        wait_until(lambda: sessions(shared, "dora"))
        assert call(shared, "send", "--channel", "news", "a").stdout.endswith("delivered=1\n")
        assert call(shared, "send", "--broadcast", "b", "--ttl", "0s").returncode == 0
        wait_until(lambda: len(listening.lines) == 2)
        assert [line.split(": ")[1] for line in listening.lines] == ["a", "b"]


def test_each_line_of_standard_input_is_a_message(shared):
    lines = "".join(f"line {n}\n" for n in range(2500)) + "and no end"
    done = call(shared, "send", "emil", "-", given=lines)
    assert done.returncode == 0, done.stderr
    ids = [line.split()[1] for line in done.stdout.splitlines()]
    assert len(ids) == 2501 and ids == sorted(ids)
    kept = shared.http.get("/users/emil/messages", params={"limit": 1000, "after": "0"}).json()
    assert [m["message"] for m in kept["messages"]] == [f"line {n}" for n in range(1000)]


def test_lines_may_say_where_they_go_and_a_bad_one_fails_alone(shared):
    lines = '{"receiver":"fred","message":1.50}\nnonsense\n\n{"sender":"x","receiver":"fred","message":2}\n'
    done = call(shared, "send", "-", given=lines)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert "line 2: bad_json" in done.stderr
    assert "1.50" in shared.http.get("/users/fred/messages").text


def test_lines_are_sent_while_more_are_to_come(shared):
    sending = subprocess.Popen([BINARY, "send", "gina", "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True,
                               env=clean_environment(PUSHWIRE_URL=shared.url))
    sending.stdin.write("now\n")
    sending.stdin.flush()
    assert sending.stdout.readline().startswith("sent ")
    sending.communicate(timeout=DEADLINE)
    assert sending.returncode == 0


def test_a_refusal_is_told_with_its_code(shared):
    done = call(shared, "send", "a/b", "hi")
    assert (done.returncode, done.stdout) == (1, "")
    assert "422 bad_field: A user id" in done.stderr


def test_a_key_says_who_sends(guarded, files):
    assert "401" in call(guarded, "send", "hans", "hi").stderr
    done = call(guarded, "send", "hans", "hi", key=files.keys["sender"])
    assert done.returncode == 0, done.stderr
    kept = guarded.http.get("/users/hans/messages",
                            headers={"Authorization": f"Bearer {files.keys['reader']}"}).json()
    assert kept["messages"][0]["sender"] == "bill"


def test_where_no_server_is_it_gives_up_and_says_so(unused_tcp_port):
    done = run_binary("send", "alice", "hi", "--url", f"localhost:{unused_tcp_port}")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no answer from http://localhost:{unused_tcp_port}" in done.stderr


# ---- listening ----

def test_messages_are_printed_as_they_come(shared):
    with Listening(shared, "ida") as listening:
        wait_until(lambda: sessions(shared, "ida"))
        shared.send("ida", "hi", sender="bob")
        shared.send("ida", {"a": [1, 2]}, sender="bob")
        shared.send("ida", "\x1b[2Jred", sender="bob")  # a terminal would obey
        wait_until(lambda: len(listening.lines) == 3)
    assert listening.lines == ["[bob]: hi", '[bob]: {"a":[1,2]}', "[bob]: ?[2Jred"]


def test_an_event_is_printed_as_its_argument_or_the_list(shared):
    for args in ["hi"], ["hi", 2], []:
        tell(shared, receiver="ines", event="said", args=args)
    with Listening(shared, "ines", "--after", "0", "--count", "3") as listening:
        assert listening.wait() == 0
    assert listening.lines == ["[bob]: hi", '[bob]: ["hi",2]', "[bob]: []"]
    command = 'echo "$MESSAGE_EVENT $MESSAGE"'
    with Listening(shared, "ines", "--after", "0", "--count", "1", "--exec", command) as listening:
        assert listening.wait() == 0
    assert listening.lines == ["said hi"]


def test_what_is_kept_comes_first_and_as_json_if_wished(shared):
    ids = [shared.send("jan", text)["id"] for text in ("a", "b")]
    with Listening(shared, "jan", "--after", "0", "--json", "--count", "2") as listening:
        assert listening.wait() == 0
    frames = [json.loads(line) for line in listening.lines]
    assert [frame["id"] for frame in frames] == ids


def test_a_command_is_run_for_each(shared, tmp_path):
    shared.send("kurt", "it's $HOME", sender="bob")
    command = 'printf "%s|%s|%s" "$MESSAGE" "$MESSAGE_SENDER" "$MESSAGE_ID" > ' + str(tmp_path / "got")
    with Listening(shared, "kurt", "--after", "0", "--count", "1", "--exec", command) as listening:
        assert listening.wait() == 0
    text, sender, name = (tmp_path / "got").read_text().split("|")
    assert (text, sender) == ("it's $HOME", "bob") and name.isdigit()


def test_it_comes_back_after_a_restart_and_misses_nothing(start):
    server = start("--broker", "sqlite")
    address = server.address
    with Listening(server, "lena") as listening:
        wait_until(lambda: sessions(server, "lena"))
        server.send("lena", "one")
        wait_until(lambda: listening.lines)
        server.stop()
        again = start("--broker", "sqlite", folder=server.folder, listen=address)
        again.send("lena", "two")
        wait_until(lambda: len(listening.lines) == 2)
    assert [line.split(": ")[1] for line in listening.lines] == ["one", "two"]


def test_a_token_or_a_key_that_may_ask_for_one(guarded, files):
    def sent():
        return call(guarded, "send", "mia", "hi", key=files.keys["sender"]).returncode == 0
    assert sent()
    for env in ({"PUSHWIRE_TOKEN": token("mia")}, {"PUSHWIRE_KEY": files.keys["minter"]}):
        with Listening(guarded, "mia", "--after", "0", "--count", "1", env=env) as listening:
            assert listening.wait() == 0, listening.process.stderr.read()


@pytest.mark.parametrize("env,said", [({}, "unauthorized"), ({"PUSHWIRE_KEY": "pw_no_ne"}, "401"),
                                      ({"PUSHWIRE_TOKEN": "a.b.c"}, "unauthorized")])
def test_who_may_not_listen_is_told(guarded, env, said):
    with Listening(guarded, "nina", env=env) as listening:
        assert listening.wait() == 1
        assert said in listening.process.stderr.read()


def test_who_is_sent_away_stays_away(shared):
    with Listening(shared, "otto") as listening:
        wait_until(lambda: sessions(shared, "otto"))
        shared.http.delete("/users/otto/sessions")
        assert listening.wait() == 1
        assert "kicked" in listening.process.stderr.read()


# ---- health, dev ----

def test_health_is_silent_and_tells_by_its_exit_code(shared, unused_tcp_port):
    for args in ([], ["--ready"]):
        done = call(shared, "health", *args)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run_binary("health", "--url", f"localhost:{unused_tcp_port}").returncode == 1


def test_the_server_is_found_by_its_own_configuration(start, unused_tcp_port):
    where = f"0.0.0.0:{unused_tcp_port}"
    start("--insecure-open", listen=where)
    assert run_binary("health", env={"PUSHWIRE_LISTEN": where}).returncode == 0
    assert run_binary("health", "--listen", where).returncode == 0
    assert run_binary("send", "alice", "hi", "--listen", where).returncode == 0


def test_dev_greets_and_leaves_nothing_behind(tmp_path, unused_tcp_port):
    where = f"127.0.0.1:{unused_tcp_port}"
    process = subprocess.Popen([BINARY, "dev", "--listen", where], cwd=tmp_path, text=True,
                               stderr=subprocess.PIPE, env=clean_environment())
    lines = []
    try:
        while not any(" stop " in line for line in lines):
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        text = "".join(lines)
        assert f"http://localhost:{unused_tcp_port}" in text and "pushwire send alice hi" in text
        done = run_binary("send", "alice", "hi", "--url", where)
        assert done.returncode == 0, done.stderr
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_serve_does_not_greet_where_nobody_looks(shared):
    assert " ready " in shared.log[-1] or not any("pushwire send" in line for line in shared.log)
