"""As a service: what the manager hears, what it hands over, Unix sockets, lines of the journal."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from harness import BINARY, DEADLINE, ROOT, clean_environment, run_binary, wait_until


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(DEADLINE)

    def next(self):
        return self.socket.recv(4096).decode().split("\n")

    def wait_for(self, line):
        """What came until this line did, which begins so."""
        heard = []
        while not any(word.startswith(line) for word in heard):
            heard += self.next()
        return heard


@pytest.fixture
def manager(tmp_path):
    made = Manager(tmp_path)
    yield made
    made.socket.close()


def unix_client(path):
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost",
                        timeout=DEADLINE)


# ---- what the manager hears ----

def test_the_manager_hears_ready_reload_and_stop(start, manager):
    server = start(env={"NOTIFY_SOCKET": manager.path})
    heard = manager.wait_for("READY=1")
    assert heard[0] == "READY=1"  # and nothing before
    assert f"STATUS=listening on {server.address}" in manager.next() + heard
    server.signal(signal.SIGHUP)
    heard = manager.wait_for("RELOADING=1")
    assert re.fullmatch(r"MONOTONIC_USEC=\d+", heard[-1])
    manager.wait_for("READY=1")
    server.signal(signal.SIGTERM)
    manager.wait_for("STOPPING=1")


def test_the_watchdog_is_fed_and_the_status_told(start, manager):
    start(env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "2000000"})
    manager.wait_for("WATCHDOG=1")
    manager.wait_for("WATCHDOG=1")
    manager.wait_for("STATUS=0 sessions, 0 behind")


def test_without_a_watchdog_none_is_fed(start, manager):
    start(env={"NOTIFY_SOCKET": manager.path})
    assert "WATCHDOG=1" not in manager.wait_for("STATUS=0 sessions")


# ---- what it hands over ----

# Makes the sockets descriptors 3 and on, as a manager does, and becomes the server.
ACTIVATE = """
import os, sys
fds = [int(fd) for fd in sys.argv[1].split(",")]
high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(fds))
os.execv(sys.argv[2], sys.argv[2:])
"""


def activated(folder, sockets, *args):
    fds = [made.fileno() for made in sockets]
    return subprocess.Popen(
        [sys.executable, "-c", ACTIVATE, ",".join(map(str, fds)), BINARY, *args], pass_fds=fds,
        cwd=folder, stderr=subprocess.PIPE, text=True, env=clean_environment())


def end(process):
    process.terminate()
    _, log = process.communicate(timeout=DEADLINE)
    return log


@pytest.mark.parametrize("workers", [1, 3])
def test_sockets_are_taken_over(tmp_path, workers):
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as local:
        tcp.bind(("127.0.0.1", 0))
        local.bind(str(tmp_path / "http.sock"))
        for made in (tcp, local):
            made.listen()
        port = tcp.getsockname()[1]
        process = activated(tmp_path, [tcp, local], "--workers", str(workers), "--broker=memory",
                            "--listen", "127.0.0.1:1")  # which is not looked at
    try:
        for _ in range(8):
            answer = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=DEADLINE, trust_env=False)
            assert answer.status_code == 200
            with unix_client(tmp_path / "http.sock") as client:
                assert client.get("/healthz").status_code == 200
    finally:
        log = end(process)
    assert process.returncode == 0, log
    assert f"listen=127.0.0.1:{port}" in log
    assert (tmp_path / "http.sock").exists()  # it is the manager's


def test_what_is_no_listening_socket_is_refused(tmp_path):
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        process = activated(tmp_path, [tcp], "--broker=memory")
    _, log = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1 and "no socket that listens" in log


def test_an_open_server_takes_only_loopback(tmp_path):
    with socket.socket() as tcp:
        tcp.bind(("0.0.0.0", 0))
        tcp.listen()
        process = activated(tmp_path, [tcp], "--broker=memory")
    _, log = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1 and "--insecure-open" in log


# ---- Unix sockets ----

def test_a_unix_socket_is_served_beside_a_port(start, tmp_path):
    path = tmp_path / "http.sock"
    server = start("--access-log", listen=f"127.0.0.1:0,unix:{path}")
    assert path.stat().st_mode & 0o777 == 0o666
    with unix_client(path) as client:
        answer = client.post("/send-message", json={"sender": "b", "receiver": "ann", "message": 1})
        assert answer.status_code == 200
        assert client.get("/healthz", headers={"Host": "elsewhere"}).status_code == 403
    kept, = server.http.get("/users/ann/messages").json()["messages"]
    assert kept["id"] == answer.json()["id"]
    for word in (["send", "ann", "hi"], ["health"]):
        assert run_binary(*word, "--url", f"unix:{path}").returncode == 0
    listened = run_binary("listen", "ann", "--after", "0", "--count", "2", "--url", f"unix:{path}")
    assert len(listened.stdout.splitlines()) == 2
    server.stop()
    assert not path.exists()


def test_a_unix_socket_is_served_alone_and_by_many_workers(tmp_path):
    path = tmp_path / "http.sock"
    process = subprocess.Popen([BINARY, "--broker=memory", "--workers=3", "--listen", f"unix:{path}"],
                               cwd=tmp_path, stderr=subprocess.PIPE, text=True,
                               env=clean_environment())
    try:
        wait_until(path.exists)
        health = lambda: run_binary("health", "--listen", f"unix:{path}").returncode == 0
        wait_until(health)
        again = run_binary("--broker=memory", "--listen", f"unix:{path}")
        assert again.returncode == 1 and "another server listens there" in again.stderr
        assert health()
    finally:
        log = end(process)
    assert process.returncode == 0 and f"ready listen=unix:{path}" in log


def test_a_socket_that_a_crash_left_is_replaced(start, tmp_path):
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    start(listen=f"127.0.0.1:0,unix:{path}")
    with unix_client(path) as client:
        assert client.get("/healthz").status_code == 200


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    done = run_binary("--broker=memory", "--listen", f"unix:{path}", cwd=tmp_path)
    assert done.returncode == 1 and f"listen=unix:{path}" in done.stderr
    assert path.read_text() == "precious"


# ---- a machine that has little ----

@pytest.mark.parametrize("closed", ["", "<&- >&-"])
def test_it_starts_where_devices_are_missing(start, closed):
    """As in an image or a chroot where nobody has made /dev/null."""
    bare = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none /dev && exec "$@" {closed}', "sh"]
    if os.geteuid() != 0 or subprocess.run([*bare, "true"], capture_output=True).returncode:
        pytest.skip("to hide /dev takes root")
    server = start(wrapper=bare)
    assert server.send()["kept"] is True
    server.stop()


# ---- the journal ----

def journal_of(pipe):
    found = os.fstat(pipe)
    return {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


@pytest.mark.parametrize("args,form", [([], r"<6>ready listen="),
                                       (["--log-format=logfmt"], r"20\S+ info  ready listen=")])
def test_lines_for_the_journal_have_a_priority_and_no_time(tmp_path, args, form):
    reading, writing = os.pipe()
    process = subprocess.Popen([BINARY, "--broker=memory", "--listen=127.0.0.1:0", *args],
                               cwd=tmp_path, stderr=writing,
                               env=clean_environment(**journal_of(writing)))
    os.close(writing)
    with os.fdopen(reading) as log:
        lines = iter(log)
        assert any(re.match(form, line) for line in lines)
        process.terminate()
        rest = list(lines)
    assert process.wait(DEADLINE) == 0
    assert any("stopped" in line for line in rest)


def test_who_writes_elsewhere_gets_the_time(start):
    server = start(env={"JOURNAL_STREAM": "1:1"})
    assert re.match(r"20\d\d-", server.log[-1])


# ---- what is installed ----

def test_the_unit_is_hardened(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    unit = tmp_path / "pushwire.service"
    unit.write_text((ROOT / "packaging/pushwire.service").read_text().replace("@bindir@", "/usr/bin"))
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=13", unit],
                          capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_manual_is_well_formed():
    if not shutil.which("mandoc"):
        pytest.skip("there is no mandoc")
    pages = sorted((ROOT / "docs/man").iterdir())
    assert [page.name for page in pages] == ["pushwire.1", "pushwire.yaml.5"]
    done = subprocess.run(["mandoc", "-Tlint", *pages], capture_output=True, text=True,
                          timeout=DEADLINE)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_that_is_installed_is_the_one_it_prints(shell):
    installed = (ROOT / f"packaging/completion.{shell}").read_text()
    assert installed == run_binary("completion", shell).stdout


def test_the_configuration_that_is_installed_is_a_good_one():
    done = run_binary("--config", ROOT / "packaging/pushwire.yaml", "--print-config")
    assert done.returncode == 0 and 'data_dir: "/var/lib/pushwire"' in done.stdout
