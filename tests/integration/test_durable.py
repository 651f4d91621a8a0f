"""A 2xx means that the message is on disk: kill -9, power cuts, failing and hanging disks, clocks that
are set."""

import json
import random
import re
import shutil
import signal
import time

import pytest

from crowd import Place, Receiver, Sender, acknowledged, mail, numbers
from data_file import wait_for_index
from disk import Disk, lose_unsynced, skip_where_impossible, skip_with_sanitizers
from frames import TEXT, Client, frame
from guarded import Files
from harness import DEADLINE, request, scaled, wait_until
from streams import session

FILLING = "x" * 20_000
NDJSON = {"Content-Type": "application/x-ndjson"}
HANDSHAKE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol: pushwire.v1.json")


def keep(start, *args, **options):
    return start("--broker", "sqlite", *args, **options)


def data_of(server):
    return server.folder / "pushwire-data"


def ready(server):
    return server.http.get("/readyz").status_code


def post(server, user, message, **fields):
    return server.http.post("/send-message",
                            json={"sender": "bob", "receiver": user, "message": message, **fields})


# ---- kill -9 under load ----

def live_and_die(start, rounds, chance, *args, die=lambda server: server.kill(), **options):
    """Sends while the server is killed again and again, then looks at everything."""
    place = Place(keep(start, *args, **options))
    batches = {"ann": 1, "ben": 1, "cyn": 25, "dan": 7}
    senders = [Sender(place, user, batch) for user, batch in batches.items()]
    receivers = [Receiver(place, user) for user in batches]
    for _ in range(rounds):
        wanted = acknowledged(senders) + chance.randrange(1, scaled(400, 20))
        wait_until(lambda: acknowledged(senders) >= wanted or any(s.failure for s in senders),
                   deadline=3 * DEADLINE)
        time.sleep(chance.random() * 0.02)  # anywhere within a commit
        die(place.server)
        place.server = keep(start, *args, folder=place.server.folder, **options)
    place.ended.set()
    for sender in senders:
        sent = sender.finish()
        found, gap = mail(place.server, sender.user)
        assert gap is None
        kept = [m["message"] for m in found]
        # Each once and in order, though the last ones may not have been answered.
        assert kept == list(range(len(kept)))
        assert [(m["message"], m["id"]) for m in found[:len(sent)]] == sent
    for sender, receiver in zip(senders, receivers):
        place.server.send(sender.user, "end")
        assert receiver.finish() == [m["message"] for m in mail(place.server, sender.user)[0]][:-1]
    assert place.server.metric("gaps_total") == 0
    return place.server


NARROW = ("--recent-bytes", "1MiB", "--retry-spread", "1s")


@pytest.mark.parametrize("sync", ["full", "normal"])
def test_kill_9_under_load_loses_nothing_acknowledged(start, sync):
    live_and_die(start, 3, random.Random(9), *NARROW, "--sync", sync)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_kill_9_again_and_again(start, seed):
    live_and_die(start, 40, random.Random(seed), *NARROW, "--workers", 2)


# ---- power cuts ----

def cut_power(start, tmp_path, rounds, chance, *args, whole):
    skip_where_impossible()
    disk = Disk(tmp_path)
    disk.order(undoable=1)
    stakes = []

    def die(server):
        server.kill()
        stakes.append(lose_unsynced(data_of(server), None if whole else chance.random()))

    server = live_and_die(start, rounds, chance, *NARROW, *args, die=die, env=disk.env)
    return server, stakes


@pytest.mark.parametrize("whole", [True, False], ids=["all", "some"])
def test_a_power_cut_loses_nothing_acknowledged(start, tmp_path, whole):
    cut_power(start, tmp_path, 3, random.Random(7), whole=whole)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_power_cuts_again_and_again(start, tmp_path, seed):
    _, stakes = cut_power(start, tmp_path, 30, random.Random(seed), whole=seed % 2)
    assert any(stakes)


def test_a_power_cut_with_sync_normal_may_lose_the_last_but_leaves_no_hole(start, tmp_path):
    """This also shows that the cut is one: what was acknowledged and not synced is gone."""
    skip_where_impossible()
    disk = Disk(tmp_path)
    disk.order(undoable=1)
    first = keep(start, "--sync", "normal", env=disk.env)
    sent = [first.send("ann", n)["id"] for n in range(200)]
    first.kill()
    assert lose_unsynced(data_of(first)) > 0
    server = keep(start, folder=first.folder)
    kept = numbers(server, "ann")
    assert len(kept) < 200 and kept == list(range(len(kept)))
    # Who had seen what is lost hears of it, and its cursor is not given twice.
    assert mail(server, "ann", after=sent[-1])[1]["after"] == sent[-1]
    assert server.send("ann", "new")["id"] > sent[-1]


# ---- write, sync, answer ----

def test_the_answer_leaves_after_write_and_sync(start, tmp_path):
    skip_with_sanitizers()
    if not shutil.which("strace"):
        pytest.skip("strace is not here")
    trace = tmp_path / "trace"
    server = keep(start, wrapper=("strace", "-D", "-f", "-y", "-s", "9999", "-o", str(trace), "-e",
                                  "trace=pwrite64,fdatasync,fsync,sendto,sendmsg,write,writev"))
    with Client(server.port, "/ws/ann?format=json") as client:
        client.recv_json()
        server.send("ann", "the message on its way")
        client.recv_json()
    server.stop(2 * DEADLINE)
    calls = wait_until(lambda: "exited with 0" in (text := trace.read_text()) and text.splitlines())
    wrote = [i for i, call in enumerate(calls)
             if "pwrite64(" in call and "messages.db-wal" in call and "on its way" in call]
    delivered = next(i for i, call in enumerate(calls) if '\\"type\\":\\"message\\"' in call)
    answered = next(i for i, call in enumerate(calls) if '\\"Message sent\\"' in call)
    assert wrote, "the message is not seen in what is written to the log"
    synced = next(i for i, call in enumerate(calls) if i > wrote[0] and has_synced(calls, i))
    assert wrote[0] < synced < answered and synced < delivered


def has_synced(calls, i):
    """Does a sync of the log return, with success, on this line?"""
    if re.search(r"fdatasync\(\d+<[^>]*messages\.db-wal>\)\s+= 0", calls[i]):
        return True
    thread = calls[i].split()[0]
    if not re.search(r"fdatasync resumed>\)\s+= 0", calls[i]):
        return False
    began = next(c for c in reversed(calls[:i]) if c.startswith(thread + " "))
    return "messages.db-wal" in began


# ---- a disk that fails ----

@pytest.fixture
def disk(tmp_path):
    skip_where_impossible()
    made = Disk(tmp_path)
    yield made
    made.mend()  # so that its servers can stop
    made.order(clock_ms=0)


@pytest.mark.parametrize("writes", [True, False], ids=["write", "sync"])
@pytest.mark.parametrize("spared", [0, 1, 3])
def test_a_failing_disk_refuses_what_must_be_kept_and_comes_back(start, disk, writes, spared):
    server = keep(start, env=disk.env)
    before = [post(server, "ann", n, key=str(n)) for n in range(5)]
    disk.fail("EIO", writes=writes, spared=spared)
    tried = [post(server, "ann", n, key=str(n)) for n in range(5, 15)]
    told = wait_until(lambda: ready(server) == 503 and post(server, "ann", 15, key="15"))
    assert disk.told("failed") > 0
    assert told.status_code == 503 and told.json()["code"] == "broker_down"
    statuses = [answer.status_code for answer in tried]
    assert set(statuses) <= {200, 503} and statuses == sorted(statuses)
    with Client(server.port, "/ws/ann?format=json") as client:  # live, without the disk
        client.recv_json()
        passing = post(server, "ann", "passing", ttl=0)
        assert passing.status_code == 200 and passing.json()["kept"] is False
        assert client.recv_json()["message"] == "passing"
    assert [m["message"] for m in mail(server, "ann")[0]][:5] == list(range(5))  # from memory
    disk.mend()
    wait_until(lambda: ready(server) == 200)
    wait_until(lambda: "the data folder is open again" in server.log_text())
    again = [post(server, "ann", n, key=str(n)) for n in range(16)]
    assert {answer.status_code for answer in again} == {200}
    for first, second in zip(before + tried, again):
        if first.status_code == 200:
            assert second.json()["duplicate"] and second.json()["id"] == first.json()["id"]
    assert sorted(numbers(server, "ann")) == list(range(16))
    # Whoever has the one that was not kept, and its cursor, gets what was refused before it.
    missed = [n for n, answer in enumerate(before + tried) if answer.status_code != 200] + [15]
    assert [m["message"] for m in mail(server, "ann", passing.json()["id"])[0]] == missed
    server.stop()
    server = keep(start, folder=server.folder)
    assert sorted(numbers(server, "ann")) == list(range(16))


def test_a_disk_that_fails_under_load_loses_nothing_and_doubles_nothing(start, disk):
    place = Place(keep(start, *NARROW, env=disk.env))

    class Stubborn(Sender):
        def send(self, http, first):
            answer = http.post("/send-message", json=self.body(first))
            if answer.status_code == 503:
                time.sleep(0.02)
                return first
            assert answer.status_code == 200, answer.text
            self.acknowledged.append((first, answer.json()["id"]))
            return first + 1

    senders = [Stubborn(place, user) for user in ("ann", "ben", "cyn")]
    receiver = Receiver(place, "ann")
    for spared in (0, 2, 7):
        wanted = acknowledged(senders) + scaled(150, 20)
        wait_until(lambda: acknowledged(senders) >= wanted)
        disk.fail("EIO", writes=bool(spared % 2), spared=spared)
        wait_until(lambda: ready(place.server) == 503)
        disk.mend()
        wait_until(lambda: ready(place.server) == 200)
    wanted = acknowledged(senders) + 20
    wait_until(lambda: acknowledged(senders) >= wanted)
    place.ended.set()
    for sender in senders:
        sent = sender.finish()
        found, gap = mail(place.server, sender.user)
        kept = [m["message"] for m in found]
        assert gap is None and kept == list(range(len(kept)))
        assert [(m["message"], m["id"]) for m in found[:len(sent)]] == sent
    place.server.send("ann", "end")
    assert receiver.finish() == [m["message"] for m in mail(place.server, "ann")[0]][:-1]


def test_a_full_disk_is_507_and_service_returns(start, disk):
    server = keep(start, env=disk.env)
    assert post(server, "ann", 0).status_code == 200
    disk.fail("ENOSPC")
    told = post(server, "ann", 1, key="k")
    assert (told.status_code, told.json()["code"]) == (507, "no_room")
    assert post(server, "ann", "passing", ttl=0).status_code == 200
    disk.mend()
    again = wait_until(lambda: (a := post(server, "ann", 1, key="k")).status_code == 200 and a)
    assert "duplicate" not in again.json()  # what was refused for want of room was not kept
    assert numbers(server, "ann") == [0, 1]


# ---- a disk that hangs ----

def test_a_hanging_disk_is_answered_without_and_the_retry_finds_it(start, disk):
    server = keep(start, "--request-timeout", "1s", env=disk.env)
    assert post(server, "ann", "before").status_code == 200
    disk.order(hang=1)
    told = post(server, "ann", "hi", key="k")
    assert (told.status_code, told.json()["code"]) == (503, "broker_down")
    assert server.http.get("/healthz").status_code == 200
    assert numbers(server, "ann") == ["before"]  # what is in memory is readable
    disk.mend()
    again = wait_until(lambda: (a := post(server, "ann", "hi", key="k")).status_code == 200 and a)
    assert again.json()["duplicate"] is True
    assert numbers(server, "ann") == ["before", "hi"]


LAST_WORDS = "ending without what does not end"


def test_a_hanging_disk_does_not_keep_the_process(start, disk):
    server = keep(start, "--request-timeout", "1s", "--drain", "1s", env=disk.env)
    assert post(server, "ann", "before").status_code == 200
    disk.order(hang=1)
    assert post(server, "ann", "hi", key="k").status_code == 503
    server.signal(signal.SIGTERM)
    assert server.wait(DEADLINE) == 1
    assert LAST_WORDS in server.log_text()
    disk.mend()
    server = keep(start, folder=server.folder)
    assert post(server, "ann", "hi", key="k").status_code == 200
    assert numbers(server, "ann") == ["before", "hi"]


def ends_though(server, disk, asks):
    """Asks, and stops when the disk has been asked."""
    with server.connect() as sock:
        sock.sendall(asks)
        wait_until(lambda: disk.told("hanging"))
        server.signal(signal.SIGTERM)
        assert server.wait() == 1
    assert LAST_WORDS in server.log_text()


def test_a_new_device_that_waits_for_its_commit_keeps_no_process(start, disk):
    server = keep(start, "--drain", "100ms", env=disk.env)
    assert post(server, "ann", "before").status_code == 200
    disk.order(hang=1)
    ends_though(server, disk, request("GET", "/ws/ann?device=new", *HANDSHAKE))


def test_a_page_that_is_being_read_keeps_no_process(start, disk):
    server = keep(start, "--recent-bytes", "1MiB")
    for number in range(100):
        assert post(server, "ann", [number, FILLING]).status_code == 200
    server.stop()
    server = keep(start, "--recent-bytes", "1MiB", "--drain", "100ms", folder=server.folder,
                  env=disk.env)
    disk.order(hang_reads=1)
    ends_though(server, disk, request("GET", "/ws/ann?after=0", *HANDSHAKE))


def test_a_revocation_that_is_being_written_keeps_no_process(start, disk, tmp_path):
    files = Files(tmp_path / "files")
    server = start("--broker", "memory", "--drain", "100ms", "--keys-file", str(files.keys_file),
                   env=disk.env)
    disk.order(hang=1)
    ends_though(server, disk, request("POST", "/users/ann/revoke",
                                      f"Authorization: Bearer {files.keys['manager']}", body=b""))


# ---- a clock that is set ----

HOUR = 3600 * 1000
DAY = 24 * HOUR


def test_a_clock_that_is_set_ages_nothing_and_ids_rise(start, disk):
    server = keep(start, "--ttl", "1h", env=disk.env)
    ids = [server.send("ann", 0)["id"]]
    for number, ahead in enumerate((30 * DAY, -30 * DAY, 0, -HOUR), 1):
        disk.order(clock_ms=ahead)
        ids.append(server.send("ann", number)["id"])
    assert ids == sorted(set(ids))
    seconds = server.metric("broker_messages")
    server.send("ben", "a second passes", ttl=1)
    wait_until(lambda: server.metric("broker_messages") == seconds)  # retention has been at work
    assert numbers(server, "ann") == list(range(5))


def test_ids_rise_over_a_restart_with_a_clock_that_was_set_back(start, disk):
    first = keep(start, env=disk.env)
    before = first.send("ann", "before")["id"]
    first.stop()
    disk.order(clock_ms=-2 * DAY)
    server = keep(start, folder=first.folder, env=disk.env)
    assert server.send("ann", "after")["id"] > before
    assert mail(server, "ann", after=before)[1] is None
    assert numbers(server, "ann") == ["before", "after"]
    disk.order(clock_ms=0)


def test_a_clock_far_ahead_at_start_is_doubted_for_an_hour(start, disk):
    first = keep(start, "--ttl", "1h", env=disk.env)
    first.send("ann", "kept")
    first.stop()
    disk.order(clock_ms=25 * HOUR)
    server = keep(start, "--ttl", "1h", folder=first.folder, env=disk.env)
    assert "the newest message is more than a day old" in server.log_text()
    server.send("ann", "new")
    wait_until(lambda: server.log_text().count("ready") and server.metric("broker_messages") == 2)
    assert numbers(server, "ann") == ["kept", "new"]
    server.stop()


def test_what_has_a_ttl_of_its_own_is_not_shown_beyond_it_in_the_hour_of_doubt(start, disk):
    first = keep(start, env=disk.env)
    cursor = first.send("ann", "kept")["id"]
    code = first.send("ann", "code", ttl=60)["id"]
    first.kill()
    disk.order(clock_ms=25 * HOUR)
    server = keep(start, folder=first.folder, env=disk.env)
    assert "the newest message is more than a day old" in server.log_text()
    for _ in range(2):
        assert numbers(server, "ann") == ["kept"]
        assert mail(server, "ann", after=cursor) == ([], None)
        assert server.http.get(f"/messages/{code}").status_code == 404
        wait_for_index(server)
        assert server.metric("broker_messages") == 2  # it has not gone
        server.stop()
        server = keep(start, folder=first.folder, env=disk.env)
    disk.order(clock_ms=0)
    wait_until(lambda: "the clock was set back" in server.log_text())
    assert numbers(server, "ann") == ["kept", "code"]
    server.stop()


def test_a_start_after_hours_lets_go_of_what_is_over(start, disk):
    first = keep(start, "--ttl", "1h", env=disk.env)
    first.send("ann", "over")
    first.stop()
    disk.order(clock_ms=2 * HOUR)
    server = keep(start, "--ttl", "1h", folder=first.folder, env=disk.env)
    assert "more than a day old" not in server.log_text()
    assert mail(server, "ann")[0] == []
    wait_until(lambda: server.metric("broker_messages") == 0)
    server.stop()


def test_after_0_hears_no_gap_of_what_is_over_and_not_yet_gone(start, disk):
    users = [f"user-{n}" for n in range(20)]
    lines = [json.dumps({"sender": "bob", "receiver": users[n % 20], "message": n}) for n in range(9000)]
    server = keep(start, "--ttl", "1h", env=disk.env)
    for sent, hours in (lines[:20], 2), (lines, 4):
        server.http.post("/send-messages", content="\n".join(sent), headers=NDJSON)
        server.kill()
        disk.order(clock_ms=hours * HOUR)
        server = keep(start, "--ttl", "1h", folder=server.folder, env=disk.env)
        if hours == 2:  # what is lost by age is known, and a cursor of theirs would hear of it
            wait_until(lambda: server.metric("broker_messages") == 0)
    for user in users:
        assert mail(server, user) == ([], None)
        with session(server, user, "&after=0") as client:
            client.send(frame(TEXT, b'{"type":"ping"}'))
            assert client.recv_json()["type"] == "pong"
    server.stop()


def test_a_start_on_a_clock_that_is_set_right_later_loses_nothing(start, disk):
    disk.order(clock_ms=-365 * DAY)
    first = keep(start, "--ttl", "1h", env=disk.env)
    first.send("ann", "early")
    disk.order(clock_ms=0)
    cursor = first.send("ann", "late")["id"]
    for stop in (first.kill, None):
        stop() if stop else first.stop()
        first = keep(start, "--ttl", "1h", folder=first.folder, env=disk.env)
        told, gap = mail(first, "ann", after=cursor)
        assert told == [] and gap is None
        assert numbers(first, "ann") == ["early", "late"]


def test_a_clock_set_right_in_the_hour_of_doubt_lets_go_of_nothing(start, disk):
    first = keep(start, "--ttl", "1h", env=disk.env)
    first.send("ann", "kept")
    first.stop()
    disk.order(clock_ms=25 * HOUR)
    server = keep(start, "--ttl", "1h", folder=first.folder, env=disk.env)
    assert "the newest message is more than a day old" in server.log_text()
    disk.order(clock_ms=0)
    wait_until(lambda: "the clock was set back" in server.log_text())
    server.send("ben", "a second passes", ttl=1)
    wait_until(lambda: server.metric("broker_messages") == 1)
    assert numbers(server, "ann") == ["kept"]
    server.stop()
