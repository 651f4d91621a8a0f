"""A disk that fails, hangs or loses what was not synced, and a clock that can be set, under a server:
tests/disk/disk.c, which the build makes, says how."""

import errno
import mmap
import pathlib
import random
import re
import struct

import pytest

from harness import BINARY

SHIM = pathlib.Path(BINARY).parent / "tests/disk/disk.so"
SECTOR = 512
NOTE = struct.Struct("qqq")
FIELDS = {name: (i * 4, "i") for i, name in enumerate(
    ("write_error", "sync_error", "spared", "failed", "hang", "hanging", "undoable",
     "hang_reads"))}
FIELDS["clock_ms"] = (32, "q")


def skip_with_sanitizers():
    if re.search(rb"__(asan|tsan)_init", pathlib.Path(BINARY).read_bytes()):
        pytest.skip("sanitizers stand in the way")


def skip_where_impossible():
    if not SHIM.exists():
        pytest.skip(f"{SHIM} is not there: the build has no tests")
    skip_with_sanitizers()


class Disk:
    """One for a test; give disk.env to each server on it."""

    def __init__(self, folder):
        path = pathlib.Path(folder) / "disk"
        path.write_bytes(bytes(40))
        with path.open("r+b") as file:
            self._orders = mmap.mmap(file.fileno(), 40)
        self.env = {"LD_PRELOAD": str(SHIM), "TEST_DISK": str(path)}

    def order(self, **orders):
        for name, value in orders.items():
            offset, kind = FIELDS[name]
            struct.pack_into(kind, self._orders, offset, value)

    def told(self, name):
        offset, kind = FIELDS[name]
        return struct.unpack_from(kind, self._orders, offset)[0]

    def fail(self, word="EIO", writes=True, spared=0):
        """From now on, after so many more calls: writes fail, or syncs."""
        number = getattr(errno, word)
        self.order(spared=spared, failed=0)
        self.order(**{"write_error" if writes else "sync_error": number})

    def mend(self):
        self.order(write_error=0, sync_error=0, hang=0, hang_reads=0)


def lose_unsynced(folder, seed=None):
    """After a kill: of what was not synced nothing is left; with a seed, sectors of it are left or
    lost as chance wills. Returns how many bytes were at stake."""
    chance = random.Random(seed)
    stake = 0
    for notes in sorted(folder.glob("*.undo")):
        file = notes.with_suffix("")
        if not file.exists():
            continue
        now, before = file.read_bytes(), undo(file.read_bytes(), notes.read_bytes())
        notes.unlink()
        stake += sum(a != b for a, b in zip(now, before)) + abs(len(now) - len(before))
        file.write_bytes(before if seed is None else mixed(now, before, chance))
    return stake


def undo(data, notes):
    data, at, steps = bytearray(data), 0, []
    while at + NOTE.size <= len(notes):
        offset, size, length = NOTE.unpack_from(notes, at)
        at += NOTE.size
        if at + length > len(notes):
            break  # killed while it was noted, before it was done
        steps.append((offset, size, notes[at:at + length]))
        at += length
    for offset, size, old in reversed(steps):
        data[offset:offset + len(old)] = old
        data[size:] = bytes(max(0, size - len(data)))
    return bytes(data)


def mixed(now, before, chance):
    """Each sector as it is or as it was; the length is one of both."""
    size = len(chance.choice((now, before)))
    now, before = now.ljust(size, b"\0"), before.ljust(size, b"\0")
    return b"".join(chance.choice((now, before))[at:at + SECTOR]
                    for at in range(0, size, SECTOR))[:size]
