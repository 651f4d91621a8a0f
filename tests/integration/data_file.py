"""The file of a server's messages, looked at and changed from outside."""

import contextlib
import sqlite3

from harness import DEADLINE, wait_until


def ask(server, sql):
    """The first number of an answer, or None; the server may be running."""
    path = server.folder / "pushwire-data" / "messages.db"
    with contextlib.closing(sqlite3.connect(path, timeout=DEADLINE)) as file, file:
        row = file.execute(sql).fetchone()
        return row and row[0]


def wait_for_index(server):
    """Until what was sent is in the index of addresses, and read from the file after a restart."""
    wait_until(lambda: ask(server, "SELECT value >= (SELECT max(id) FROM message) FROM meta"
                                   " WHERE name = 'indexed_upto'"))
