"""The words of the command line: what they print, what they refuse, what they leave alone."""

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from guarded import Files, token
from harness import BINARY, clean_environment, run_binary

WORDS = ["serve", "dev", "send", "listen", "health", "key new", "key list", "key revoke", "token",
         "token check", "backup", "check-data", "config init", "completion", "help", "version"]


def keys_of_the_configuration():
    return re.findall(r"^(\w+): ", run_binary("--print-config").stdout, re.M)


# ---- help ----

def test_help_lists_every_command_and_fits_a_screen():
    done = run_binary("help")
    assert (done.returncode, done.stderr) == (0, "")
    for word in WORDS:
        assert re.search(rf"^pushwire {word}( |$)", done.stdout, re.M), word
    lines = done.stdout.splitlines()
    assert len(lines) <= 30 and all(len(line) <= 100 for line in lines)
    for same in (["--help"], ["-h"]):
        assert run_binary(*same).stdout == done.stdout


@pytest.mark.parametrize("word", WORDS)
def test_every_command_has_its_help(word):
    done = run_binary("help", *word.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"pushwire {word}")
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    for flag in ("--help", "-h"):
        assert run_binary(*word.split(), flag).stdout == done.stdout


def test_help_of_serve_has_every_key():
    done = run_binary("help", "serve")
    for key in keys_of_the_configuration():
        assert f"--{key.replace('_', '-')} " in done.stdout, key


def test_help_needs_no_configuration():
    wrong = {"PUSHWIRE_NOPE": "1", "PUSHWIRE_WORKERS": "none"}
    for word in ("help", "version", "completion bash", "config init"):
        assert run_binary(*word.split(), env=wrong).returncode == 0, word


def test_version_has_a_word_and_two_flags():
    versions = [run_binary(word) for word in ("version", "--version", "-V")]
    assert {done.returncode for done in versions} == {0}
    assert len({done.stdout for done in versions}) == 1


@pytest.mark.parametrize("args,said", [
    (["tokne"], '"tokne" is an unknown command, did you mean token?'),
    (["key", "old"], "pushwire key new"),
    (["xyzzyxyzzy"], "pushwire check-data"),
    (["key", "new", "--scpoe", "send"], "did you mean --scope?"),
    (["--user", "ada", "token"], "--user: stands behind its command: pushwire token --user"),
    (["help", "tokne"], "did you mean token?"),
    (["backup"], "say more: pushwire backup FILE"),
    (["send"], "say to whom and what"),
    (["send", "alice", "--json", "{"], "this is no JSON"),
    (["listen", "alice", "--count", "0"], "--count"),
    (["completion", "tcsh"], "say bash, zsh or fish"),
])
def test_what_is_not_understood_ends_with_2(args, said, tmp_path):
    done = run_binary(*args, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert said in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


# ---- the configuration ----

def test_config_init_is_a_file_that_says_what_is_so_anyway(tmp_path):
    done = run_binary("config", "init")
    assert yaml.safe_load(done.stdout) is None  # comments alone
    bare = re.sub(r"^#(\w+: )", r"\1", done.stdout, flags=re.M)
    assert list(yaml.safe_load(bare)) == keys_of_the_configuration()
    path = tmp_path / "pushwire.yaml"
    for text in (done.stdout, bare):
        path.write_text(text)
        printed = run_binary("--config", path, "--print-config").stdout
        assert re.sub("  # .*", "", printed) == re.sub("  # .*", "",
                                                       run_binary("--print-config").stdout)


@pytest.mark.parametrize("args", [["--keys-file", "FILE", "key", "list"],
                                  ["key", "list", "--keys-file", "FILE"]])
def test_flags_of_the_configuration_stand_on_either_side(args, tmp_path):
    files = Files(tmp_path / "files")
    done = run_binary(*[str(files.keys_file) if arg == "FILE" else arg for arg in args])
    assert (done.returncode, done.stderr) == (0, "")
    assert "sender scope=send sender=bill" in done.stdout


# ---- keys ----

def test_keys_are_listed_and_revoked(tmp_path):
    path = tmp_path / "keys"
    path.write_text("# ours\n")
    for name in ("shop", "shop-2", "cron"):
        assert run_binary("key", "new", "--id", name, "--keys-file", path).returncode == 0
    path.chmod(0o640)
    listed = run_binary("key", "list", "--keys-file", path)
    assert listed.stdout.splitlines() == [f"{name} scope=send" for name in ("shop", "shop-2", "cron")]
    assert run_binary("key", "revoke", "shop", "--keys-file", path).returncode == 0
    kept = path.read_text()
    assert kept.startswith("# ours\nshop-2 ") and kept.count("\n") == 3
    assert path.stat().st_mode & 0o777 == 0o640
    missing = run_binary("key", "revoke", "shop", "--keys-file", path)
    assert missing.returncode == 1 and "has no key shop" in missing.stderr
    assert path.read_text() == kept


def test_key_list_needs_a_file():
    done = run_binary("key", "list")
    assert done.returncode == 1 and "--keys-file" in done.stderr


@pytest.mark.parametrize("flag,value", [("--scope", "send read"), ("--scope", "all"),
                                        ("--sender", "a b"), ("--id", "")])
def test_what_is_wrong_with_a_new_key_is_told_plainly(flag, value):
    done = run_binary("key", "new", flag, value)
    assert done.returncode == 2
    assert not re.search(r"\d: ", done.stderr) and "name=value" not in done.stderr


# ---- tokens ----

def test_no_secret_is_made_where_no_server_has_its_data(tmp_path):
    keys = tmp_path / "keys"
    run_binary("key", "new", "--keys-file", keys)
    for word in (["token", "--user", "ada"], ["token", "check", "x.y.z"]):
        done = run_binary(*word, "--keys-file", keys, cwd=tmp_path)
        assert done.returncode == 1 and done.stdout == ""
        assert "pushwire-data/token-secret" in done.stderr and "--data-dir" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["keys"]


def test_a_token_by_the_secret_that_the_server_made(start, tmp_path):
    keys = tmp_path / "keys"
    run_binary("key", "new", "--keys-file", keys)
    server = start("--keys-file", keys)
    made = run_binary("token", "--user", "ada", "--keys-file", keys, cwd=server.folder)
    assert made.returncode == 0, made.stderr
    head = {"Authorization": f"Bearer {made.stdout.strip()}"}
    assert server.http.get("/users/ada", headers=head).status_code == 200
    checked = run_binary("token", "check", made.stdout.strip(), "--keys-file", keys,
                         cwd=server.folder)
    assert checked.returncode == 0
    assert checked.stdout.startswith("good for ada until 20")
    assert json.loads(checked.stdout.splitlines()[1])["sub"] == "ada"


def test_token_check_says_why_not(files):
    args = [str(arg) for arg in files.args]
    for bad, why in ((token("ada", ttl=-100), "expired"), (token("ada", secret="x" * 40), "")):
        done = run_binary("token", "check", bad, *args)
        assert done.returncode == 1 and done.stdout.startswith("refused: "), done.stderr
        assert why in done.stdout
    read = subprocess.run([BINARY, "token", "check", "-", *args], input=token("ada") + "\n",
                          capture_output=True, text=True, env=clean_environment(), timeout=20)
    assert read.returncode == 0


def test_too_long_a_life_is_told_with_the_limit(files):
    done = run_binary("token", "--user", "ada", "--ttl", "99d", *map(str, files.args))
    assert done.returncode == 2 and "which is 30d" in done.stderr


# ---- the data folder ----

@pytest.mark.parametrize("word", [["check-data"], ["backup", "copy.db"]])
def test_a_folder_that_is_not_there_is_told(word, tmp_path):
    done = run_binary(*word, cwd=tmp_path)
    assert done.returncode == 1
    assert "pushwire-data: No such file" in done.stderr and "--data-dir" in done.stderr
    assert list(tmp_path.iterdir()) == []


# ---- completion ----

def completed(*typed):
    """What bash offers after these words, the last of which is being typed."""
    script = (f'source <("{BINARY}" completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_pushwire "$1"; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", BINARY, *typed], capture_output=True,
                          text=True, timeout=20, env=clean_environment())
    return done.stdout.split()


def test_bash_completes_words_flags_and_values():
    flags = {f"--{key.replace('_', '-')}" for key in keys_of_the_configuration()}
    assert flags < set(completed("--"))
    assert flags < set(completed("serve", "--"))
    assert {"--user", "--channels", "--keys-file"} < set(completed("token", "--"))
    assert {word.split()[0] for word in WORDS} == set(completed(""))
    assert completed("key", "") == ["new", "list", "revoke"]
    assert completed("--workers", "2", "key", "re") == ["revoke"]
    assert completed("--broker", "") == ["sqlite", "memory"]
    assert completed("completion", "") == ["bash", "zsh", "fish"]
    assert completed("backup", "") == []  # a file, which bash knows better


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_reads_its_completion(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    script = tmp_path / "pushwire"
    script.write_text(run_binary("completion", shell).stdout)
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
