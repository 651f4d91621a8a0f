"""One binary runs on whatever libmicrohttpd is loaded, and is right on it, or does not start."""

import pytest

from disk import skip_with_sanitizers
from harness import answers_of, raw, request, run_binary
from library import MOVED, refuses_by_itself


@pytest.fixture
def moved():
    if not MOVED.exists():
        pytest.skip(f"{MOVED} is not there: the build has no tests")
    skip_with_sanitizers()
    return {"LD_PRELOAD": str(MOVED)}


def test_where_heads_cannot_be_judged_it_does_not_start(moved, tmp_path):
    if refuses_by_itself():
        pytest.skip("this libmicrohttpd leaves nothing to judge")
    done = run_binary("--listen", "127.0.0.1:0", "--broker", "memory", env=moved, cwd=tmp_path)
    assert done.returncode == 1
    assert " ready " not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if " error " in line]
    assert "libmicrohttpd" in line and "version=" in line


def test_where_the_library_judges_strings_may_lie_anywhere(moved, start):
    if not refuses_by_itself():
        pytest.skip("this libmicrohttpd leaves it to us to judge")
    server = start(env=moved)
    assert answers_of(raw(server, request("GET", "/healthz", "Connection: close"))) == [200]


@pytest.mark.parametrize("cut", [b"\r\nX-A: b\r\n c\r\n", b"\r\nX-A: b\nC: d\r\n", b"\n"])
def test_proper_heads_pass_and_loose_ones_do_not(shared, cut):
    good = request("GET", "/healthz", "X-A: b", "Connection: close")
    assert answers_of(raw(shared, good)) == [200]
    assert answers_of(raw(shared, good.replace(b"\r\n", cut, 1))) == [400]
