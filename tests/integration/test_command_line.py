"""Flags, environment and file; what is printed, and exit codes."""

import json
import os
import re
import socket

import pytest

from harness import ROOT, http_client, run_binary


def write(folder, text, name="pushwire.yaml"):
    path = folder / name
    path.write_text(text)
    return path


def printed(*args, **options):
    """--print-config as {key: (value, source)}."""
    done = run_binary("--print-config", *args, **options)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(\w+): (.*?)  # (.*)$", done.stdout, re.M)
    return {key: (value, source) for key, value, source in rows}


def test_version_is_one_line():
    done = run_binary("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"pushwire \d+\.\d+\.\d+ .*\n", done.stdout)


def test_every_key_is_documented():
    page = (ROOT / "docs/configuration.md").read_text()
    for key in printed():
        assert f"| `{key}` |" in page


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(tmp_path):
    path = write(tmp_path, "ttl: 1d\nkeepalive: 1m\nheartbeat: 5s\n")
    found = printed("--config", path, "--ttl", "3d",
                    env={"PUSHWIRE_TTL": "2d", "PUSHWIRE_KEEPALIVE": "2m"})
    assert found["ttl"][0] == "3d"
    assert found["keepalive"][0] == "2m"
    assert found["heartbeat"][0] == "5s"
    assert found["max_body"] == ("256KiB", "default")
    assert "--ttl" in found["ttl"][1]
    assert "PUSHWIRE_KEEPALIVE" in found["keepalive"][1]
    assert "pushwire.yaml:3" in found["heartbeat"][1]


def test_the_file_may_be_named_by_the_environment(tmp_path):
    path = write(tmp_path, "ttl: 1d\n")
    assert printed(env={"PUSHWIRE_CONFIG": str(path)})["ttl"][0] == "1d"


def test_a_service_of_kubernetes_that_has_our_name_stops_nothing():
    links = {"PUSHWIRE_SERVICE_HOST": "10.0.0.11", "PUSHWIRE_PORT": "tcp://10.0.0.11:8000"}
    assert run_binary("--check-config", env=links).returncode == 0
    done = run_binary("--check-config", env={**links, "PUSHWIRE_WORKRES": "2"})
    assert done.returncode == 2
    assert "did you mean PUSHWIRE_WORKERS?" in done.stderr and "PORT" not in done.stderr


def test_the_file_may_be_json(tmp_path):
    path = write(tmp_path, json.dumps({"ttl": "1d", "listen": ["127.0.0.1:1", "127.0.0.1:2"]}))
    found = printed("--config", path)
    assert found["ttl"][0] == "1d"
    assert json.loads(found["listen"][0]) == ["127.0.0.1:1", "127.0.0.1:2"]


def test_what_is_printed_can_be_read_again(tmp_path):
    flags = ["--ttl", "90m", "--allowed-origins", "https://a.example,https://b.example",
             "--max-body", "1MiB", "--dev-echo", "--log-format", "json"]
    path = write(tmp_path, run_binary("--print-config", *flags).stdout)
    again, first = printed("--config", path), printed(*flags)
    assert {k: v for k, (v, _) in again.items()} == {k: v for k, (v, _) in first.items()}


@pytest.mark.parametrize("form", [["--ttl", "1d"], ["--ttl=1d"], ["serve", "--ttl=1d"]])
def test_flags_come_in_both_forms(form):
    assert printed(*form)["ttl"][0] == "1d"


def test_check_config_says_that_all_is_fine(tmp_path):
    done = run_binary("--check-config", "--config", write(tmp_path, "ttl: 1d\n"))
    assert done.returncode == 0
    assert "configuration is fine" in done.stdout


def unstartable(folder):
    """What serving refuses before it binds: {name: (flags, what it says)}."""
    (folder / "short").write_text("12345\n")
    (folder / "keys").write_text("one two three\n")
    (folder / "file").write_text("")
    good = write(folder, "")
    return {
        "no keys file": (["--keys-file", folder / "missing"], "No such file"),
        "keys": (["--keys-file", folder / "keys"], f"{folder}/keys:1"),
        "short secret": (["--jwt-secret-file", folder / "short"], "at least 32 bytes"),
        "no key set": (["--jwks-file", folder / "short"], "this is no JWK set"),
        "open to all": (["--listen", "0.0.0.0:0"], "only loopback is served"),
        "metrics to all": (["--metrics-listen", "0.0.0.0:0"], "only loopback is served"),
        "a name": (["--listen", "nowhere.invalid:0"], "cannot resolve"),
        "no folder": (["--data-dir", folder / "file" / "data"], "cannot be made"),
        "a file": (["--data-dir", folder / "file"], "Not a directory"),
        "memory": (["--broker", "memory", "--keys-file", good, "--data-dir", folder / "file" / "x"],
                   "cannot be made"),
        "a word": (["frob"], "is an unknown command"),
    }


@pytest.mark.parametrize("name", [
    "no keys file", "keys", "short secret", "no key set", "open to all", "metrics to all",
    "a name", "no folder", "a file", "memory", "a word"])
def test_check_config_says_what_serving_would_say(tmp_path, name):
    flags, what = unstartable(tmp_path)[name]
    before = sorted(tmp_path.rglob("*"))
    port = [] if "--listen" in flags else ["--listen", "127.0.0.1:0"]
    served = run_binary(*port, *flags, cwd=tmp_path)
    assert served.returncode in (1, 2) and what in served.stderr
    for path in set(tmp_path.rglob("*")) - set(before):  # what serving made
        path.unlink() if path.is_file() else None
    done = run_binary("--check-config", *flags, cwd=tmp_path)
    assert done.returncode == 2 and what in done.stderr and not done.stdout
    assert not [path for path in set(tmp_path.rglob("*")) - set(before) if path.is_file()]


def test_check_config_leaves_no_trace(tmp_path):
    (tmp_path / "keys").write_text("")
    done = run_binary("--check-config", "--keys-file", tmp_path / "keys", cwd=tmp_path)
    assert (done.returncode, sorted(path.name for path in tmp_path.iterdir())) == (0, ["keys"])


def test_check_config_is_fine_beside_a_running_server(start, files):
    server = start(*files.args)
    flags = [*files.args, "--listen", server.address, "--data-dir", server.folder / "pushwire-data"]
    before = sorted((path.name, path.stat().st_ino) for path in flags[-1].iterdir())
    done = run_binary("--check-config", *flags)
    assert (done.returncode, done.stderr) == (0, "") and "is fine" in done.stdout
    assert sorted((path.name, path.stat().st_ino) for path in flags[-1].iterdir()) == before
    assert server.http.get("/healthz").status_code == 200


ERRORS = [
    (["--max-boddy", "1MiB"], "--max-boddy", "did you mean --max-body?"),
    (["--ttl", "soon"], "--ttl", "soon"),
    (["--workers", "0"], "--workers", "0"),
    (["--max-body", "-1"], "--max-body", "-1"),
    (["--log-level", "loud"], "--log-level", "loud"),
    (["--ttl"], "--ttl", ""),
    (["--listen", "nowhere"], "--listen", "nowhere"),
    (["--listen", "localhost:99999"], "--listen", "99999"),
    (["--broker", "redis"], "--broker", "redis"),
    (["--allowed-origins", "example.com"], "--allowed-origins", "example.com"),
    (["--allowed-origins", "https://a.example,ftp://x"], "--allowed-origins", "ftp://x"),
    (["--allowed-origins", "https://a:b:c"], "--allowed-origins", "https://a:b:c"),
    (["--allowed-origins", "https://app.example.com:44x"], "--allowed-origins", ":44x"),
    (["--allowed-origins", "wss://app.example.com"], "--allowed-origins", "wss://app.example.com"),
    (["--ttl", "2d", "--ttl-max", "1d"], "ttl", "ttl_max"),
    (["--max-message", "1MiB"], "--max-message", "max_body"),
    (["frob"], "frob", "unknown command"),
    (["--config", "/nonexistent/x.yaml"], "/nonexistent/x.yaml", "No such file"),
]


@pytest.mark.parametrize("flags,where,what", ERRORS, ids=lambda v: " ".join(v)[:30]
                         if isinstance(v, list) else None)
def test_an_error_says_where_and_what_and_ends_with_2(flags, where, what):
    for more in ([], ["--check-config"]):
        if flags == ["--ttl"] or (flags == ["frob"] and more):
            more = []
        done = run_binary(*flags, *more)
        assert done.returncode == 2
        assert where in done.stderr and what in done.stderr, done.stderr


FILES = [
    ("ttll: 1d\n", ":1: ttll: unknown key, did you mean ttl?"),
    ("ttl: 1d\n\nmax_boddy: 1MiB\n", ":3: max_boddy: unknown key, did you mean max_body?"),
    ("ttl: soon\n", ":1: ttl: "),
    ("ttl: 1d\nttl: 2d\n", ":2: ttl: "),
    ("ttl: [1d]\n", ":1: ttl: "),
    ("ttl: {a: b}\n", ":1: ttl: "),
    ("- ttl\n", ":1: "),
    ("ttl: 'x\n", ":"),
    ("ttl: &a 1d\nkeepalive: *a\n", ":1: "),
    ("a: b: c\n", ":1: "),
]


@pytest.mark.parametrize("text,said", FILES, ids=[text.strip()[:20] for text, _ in FILES])
def test_an_error_in_the_file_has_its_line(tmp_path, text, said):
    path = write(tmp_path, text)
    done = run_binary("--config", path)
    assert done.returncode == 2
    assert f"{path}{said}" in done.stderr


def test_all_errors_are_told_at_once(tmp_path):
    path = write(tmp_path, "ttll: 1d\nmax_head: huge\n")
    done = run_binary("--config", path, "--frob", "x", env={"PUSHWIRE_FOO": "1"})
    for word in ("ttll", "max_head"):
        assert word in done.stderr


def test_an_unknown_variable_is_an_error():
    done = run_binary("--check-config", env={"PUSHWIRE_TTLL": "1d"})
    assert done.returncode == 2
    assert "PUSHWIRE_TTLL: unknown variable, did you mean PUSHWIRE_TTL?" in done.stderr


def test_control_bytes_in_an_error_are_escaped():
    done = run_binary("--ttl", "\x1b[2Jred")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr


# ---- where it listens ----

def test_a_port_in_use_is_told_with_another_to_try(shared):
    done = run_binary("--listen", f"127.0.0.1:{shared.port}")
    assert done.returncode == 1
    assert "in use" in done.stderr
    suggested = re.search(r"try=127\.0\.0\.1:(\d+)", done.stderr)
    assert int(suggested[1]) != shared.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", int(suggested[1])))


def test_a_port_in_use_by_another_program_is_told():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = run_binary("--listen", f"127.0.0.1:{other.getsockname()[1]}")
    assert done.returncode == 1
    assert "in use" in done.stderr


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_beyond_loopback_it_refuses_to_be_open(address):
    done = run_binary("--listen", address)
    assert done.returncode == 1
    assert "--insecure-open" in done.stderr


def test_localhost_is_both_families(start):
    server = start(listen="localhost:0")
    addresses = {re.search(r"listen=(\S+)", line)[1] for line in server.log
                 if " ready " in line or " listening " in line}
    assert f"127.0.0.1:{server.port}" in addresses
    for address in addresses:
        with http_client(f"http://{address}") as client:
            assert client.get("/healthz").status_code == 200


def test_many_addresses_are_served(start):
    server = start(listen="127.0.0.1:0,127.0.0.2:0")
    other = next(line for line in server.log if " listening " in line)
    address = re.search(r"listen=(\S+)", other)[1]
    with http_client(f"http://{address}", headers={"Host": "localhost"}) as client:
        assert client.get("/healthz").status_code == 200


def test_ready_is_the_last_line_of_the_start(start):
    server = start("--metrics-listen", "127.0.0.1:0")
    assert " ready " in server.log[-1]


def test_it_serves_from_the_file_too(start, tmp_path):
    path = write(tmp_path, "max_body: 1KiB\nmax_message: 1KiB\n")
    server = start("--config", path)
    assert server.http.post("/send-message", content=b"x" * 2000).status_code == 413


def test_it_leaves_nothing_behind_but_its_data_folder(start):
    server = start("--broker", "sqlite")
    server.send()
    server.stop()
    assert os.listdir(server.folder) == ["pushwire-data"]
    data = server.folder / "pushwire-data"
    assert data.stat().st_mode & 0o777 == 0o700
    assert sorted(os.listdir(data)) == ["lock", "messages.db"]  # and no write-ahead log


def test_in_memory_it_leaves_nothing_behind_in_its_folder(start):
    server = start("--broker", "memory")
    server.send()
    server.stop()
    assert os.listdir(server.folder) == []


def test_the_data_folder_is_the_one_systemd_gives(start, tmp_path):
    server = start("--broker", "sqlite", env={"STATE_DIRECTORY": str(tmp_path / "state")})
    server.stop()
    assert (tmp_path / "state" / "messages.db").exists()
    assert os.listdir(server.folder) == []
