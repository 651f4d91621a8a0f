"""The data folder: full, damaged, foreign, newer, in use; its backup and restore."""

import contextlib
import os
import shutil
import sqlite3
import subprocess

import pytest

from crowd import Place, Sender, acknowledged, mail, numbers
from frames import Client
from harness import run_binary, scaled, wait_until

FILLING = "x" * 20_000
REMEDY = "bring back a backup, or move it away to begin empty"


def keep(start, *args, **options):
    return start("--broker", "sqlite", *args, **options)


def data_of(server):
    return server.folder / "pushwire-data"


def post(server, user, message, **fields):
    return server.http.post("/send-message",
                            json={"sender": "bob", "receiver": user, "message": message, **fields})


def refusal(folder):
    """What a server says that does not start on this folder."""
    done = run_binary("--listen", "127.0.0.1:0", "--broker", "sqlite", "--data-dir", str(folder))
    assert done.returncode == 1, done
    (line,) = [line for line in done.stderr.splitlines() if "error" in line or str(folder) in line]
    return line


def ask(folder, sql):
    """Runs one statement on its file; the first number of the answer."""
    with contextlib.closing(sqlite3.connect(folder / "messages.db")) as db:
        row = db.execute(sql).fetchone()
        db.commit()
        return row and row[0]


def check(folder):
    return run_binary("check-data", "--data-dir", str(folder))


# ---- full ----

@pytest.fixture
def small_disk(tmp_path):
    """16 MiB, gone after the test, whose servers must stop before."""
    path = tmp_path / "small"
    path.mkdir()
    if os.geteuid() != 0:
        pytest.skip("to mount a small disk takes root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", path],
                          capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_refuses_what_must_be_kept_until_there_is_room(small_disk, start):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(8 << 20))
    server = keep(start, "--data-dir", small_disk / "data", "--recent-bytes", "1MiB")
    kept = 0
    while (answer := post(server, "ann", [kept, FILLING])).status_code == 200:
        kept += 1
        assert kept < 1000
    assert (answer.status_code, answer.json()["code"]) == (507, "no_room")
    assert kept > 50
    with Client(server.port, "/ws/ann?format=json") as client:
        client.recv_json()
        assert post(server, "ann", "passing", ttl=0).status_code == 200
        assert client.recv_json()["message"] == "passing"
    filler.unlink()
    wait_until(lambda: post(server, "ben", "room").status_code == 200)
    assert server.http.get("/readyz").status_code == 200
    assert [n for n, _ in numbers(server, "ann")] == list(range(kept))
    server.stop()
    server = keep(start, "--data-dir", small_disk / "data", "--recent-bytes", "1MiB")
    assert [n for n, _ in numbers(server, "ann")] == list(range(kept))
    server.stop()
    assert check(small_disk / "data").returncode == 0


# ---- damaged, foreign, newer, in use ----

@pytest.fixture
def folder(start):
    """Of a server that has kept something and was stopped."""
    server = keep(start)
    for n in range(300):
        server.send(f"user-{n % 7}", "x" * 1000)
    wait_until(lambda: ask(data_of(server), "SELECT count(*) FROM mail") == 300)  # all is filed
    server.stop()
    return data_of(server)


def test_a_sound_folder_is_found_sound(folder):
    done = check(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{folder}/messages.db: sound\n"


def test_a_damaged_file_is_refused_and_left_alone(folder):
    path = folder / "messages.db"
    with path.open("r+b") as file:
        file.write(b"garbage!" * 16)
    before = path.read_bytes()
    line = refusal(folder)
    assert f"{path}: damaged" in line and REMEDY in line
    assert path.read_bytes() == before
    done = check(folder)
    assert done.returncode == 1 and REMEDY in done.stderr
    assert "check-data" not in done.stderr  # which has just been run


def test_a_file_that_was_cut_short_is_refused(folder):
    path = folder / "messages.db"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)
    line = refusal(folder)
    assert str(folder) in line and REMEDY in line
    done = check(folder)
    assert done.returncode == 1 and REMEDY in done.stderr


def test_damage_inside_is_found_by_check_data(folder):
    path = folder / "messages.db"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xa5" * 4096)
    done = check(folder)
    assert done.returncode == 1 and REMEDY in done.stderr


def test_a_missing_message_is_found_by_check_data(folder):
    ask(folder, "DELETE FROM message WHERE id = (SELECT id FROM mail LIMIT 1)")
    done = check(folder)
    assert done.returncode == 1
    assert "1 entries of the index without a message" in done.stdout


def test_a_foreign_file_is_refused_and_left_alone(tmp_path):
    folder = tmp_path / "foreign"
    folder.mkdir()
    path = folder / "messages.db"
    ask(folder, "CREATE TABLE recipes(name TEXT)")
    before = path.read_bytes()
    assert f"{path}: not a file of Pushwire's; give another --data-dir" in refusal(folder)
    assert path.read_bytes() == before
    path.write_text("a shopping list, longer than the header of a database " * 20)
    assert f"{path}: damaged" in refusal(folder)


def test_a_newer_file_is_refused_with_the_version_it_needs(folder):
    path = folder / "messages.db"
    ask(folder, "PRAGMA user_version=7")
    before = path.read_bytes()
    line = refusal(folder)
    assert "written by a newer Pushwire, with schema 7; this one knows up to 1" in line
    assert path.read_bytes() == before
    assert "schema 7" in check(folder).stderr


def test_a_second_process_refuses_the_folder_and_names_the_first(start):
    server = keep(start)
    server.send("ann")
    line = refusal(data_of(server))
    assert f"another Pushwire (process {server.pid}) works on this folder" in line
    assert numbers(server, "ann") == ["hi"]
    server.kill()
    assert numbers(keep(start, folder=server.folder), "ann") == ["hi"]  # its lock went with it


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "give another --data-dir" in refusal(tmp_path / "file" / "data")


# ---- read-only ----

@pytest.fixture
def read_only_disk(small_disk):
    (small_disk / "keys").write_text("")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    return small_disk


def test_a_disk_that_is_read_only_is_enough_for_memory(start, read_only_disk):
    server = start("--broker", "memory", folder=read_only_disk)
    assert server.send()["kept"]
    server.stop()


def test_what_needs_a_disk_says_so_and_names_the_way_out(read_only_disk):
    for args in (["--broker", "sqlite"], ["--broker", "memory", "--keys-file", "keys"]):
        done = run_binary("--listen", "127.0.0.1:0", *args, cwd=read_only_disk)
        assert done.returncode == 1
        (line,) = [line for line in done.stderr.splitlines() if " error " in line]
        assert "Read-only file system; give another --data-dir" in line


# ---- whose eyes ----

@pytest.fixture
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.parametrize("umask, mode", [(0o022, 0o755), (0, 0o777)], indirect=["umask"])
def test_no_file_is_for_others_in_a_folder_that_is(start, tmp_path, umask, mode):
    (tmp_path / "pushwire-data").mkdir()
    (tmp_path / "pushwire-data").chmod(mode)
    server = keep(start, folder=tmp_path)
    post(server, "ann", "for you alone")
    assert server.log_text().count("the data folder is open to others") == 1
    assert backup(data_of(server), tmp_path / "copy").returncode == 0
    files = [*data_of(server).iterdir(), tmp_path / "copy"]
    assert {file.name for file in files} >= {"messages.db", "messages.db-wal", "lock", "copy"}
    assert [file.name for file in files if file.stat().st_mode & 0o077] == []


# ---- backup and restore ----

def backup(folder, target):
    return run_binary("backup", str(target), "--data-dir", str(folder))


def restored(start, target, tmp_path):
    folder = tmp_path / "restored"
    (folder / "pushwire-data").mkdir(parents=True)
    shutil.copy(target, folder / "pushwire-data" / "messages.db")
    return keep(start, folder=folder)


def test_a_backup_of_a_running_server_under_load_is_one_moment(start, tmp_path):
    place = Place(keep(start, "--recent-bytes", "1MiB"))
    senders = [Sender(place, user, batch) for user, batch in (("ann", 1), ("ben", 9))]
    wait_until(lambda: acknowledged(senders) > scaled(300, 20))
    before = [len(s.acknowledged) for s in senders]
    target = tmp_path / "copy.db"
    done = backup(data_of(place.server), target)
    assert done.returncode == 0 and f"{target}: to restore" in done.stdout, done
    wanted = acknowledged(senders) + 20
    wait_until(lambda: acknowledged(senders) >= wanted)
    place.ended.set()
    sent = [s.finish() for s in senders]
    place.server.stop()

    server = restored(start, target, tmp_path)
    assert check(data_of(server)).returncode == 0
    for sender, at_least, all_sent in zip(senders, before, sent):
        found, gap = mail(server, sender.user)
        kept = [m["message"] for m in found]
        assert gap is None and kept == list(range(len(kept)))
        assert at_least <= len(kept) < len(all_sent)
        # From before the backup: no gap. From after it: one, and ids go on above.
        cursor = all_sent[len(kept) - 1][1]
        assert mail(server, sender.user, cursor) == ([], None)
        lost = all_sent[-1][1]
        new = server.send(sender.user, "new")["id"]
        found, gap = mail(server, sender.user, lost)
        assert gap["after"] == lost and lost <= gap["resumes"] < new
        assert [m["id"] for m in found] == [new]


def test_a_backup_overwrites_nothing_and_needs_a_folder(start, tmp_path):
    server = keep(start)
    target = tmp_path / "copy.db"
    target.write_text("precious")
    done = backup(data_of(server), target)
    assert done.returncode == 1 and "is there already" in done.stderr
    assert target.read_text() == "precious"
    done = backup(tmp_path / "nowhere", tmp_path / "other.db")
    assert done.returncode == 1 and not (tmp_path / "other.db").exists()
    server.stop()
    assert backup(data_of(server), tmp_path / "other.db").returncode == 0  # nobody runs it
