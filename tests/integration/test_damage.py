"""A message in the file that cannot be read holds nobody up."""

import pytest

from data_file import ask, wait_for_index
from harness import wait_until

pytestmark = pytest.mark.workers


def keep(start, *args, **options):
    return start("--broker", "sqlite", *args, **options)


def page(server, user, **parameters):
    answer = server.http.get(f"/users/{user}/messages", params={"after": 0, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(server, user, **parameters):
    return [m["message"] for m in page(server, user, **parameters)["messages"]]


DAMAGE = {
    "addresses": "addresses = x'ff'",
    "no-address": "addresses = x''",
    "cut-short": "addresses = substr(addresses, 1, 3)",
}
damaged_in_each_way = pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)


def damaged(start, server, id, damage, *args):
    server.stop()
    ask(server, f"UPDATE message SET {damage} WHERE id = {int(id)}")
    return keep(start, *args, folder=server.folder)


@damaged_in_each_way
def test_who_reads_passes_over_what_cannot_be_read_and_is_told(start, damage):
    first = keep(start, "--recent-bytes", "1MiB")
    ids = [first.send("ann", n)["id"] for n in range(5)]
    wait_for_index(first)
    server = damaged(start, first, ids[2], damage, "--recent-bytes", "1MiB")
    assert numbers(server, "ann") == [0, 1, 3, 4]
    assert page(server, "ann", after=ids[0])["gap"] and not page(server, "ann", after=ids[2])["gap"]
    assert server.http.get(f"/messages/{ids[2]}").status_code == 404
    numbers(server, "ann")
    server.stop()
    assert server.log_text().count("cannot be read") == 1
    assert f"id={ids[2]}" in server.log_text()


def test_a_start_passes_over_what_cannot_be_read(start):
    first = keep(start)
    ids = [first.send("ann", n)["id"] for n in range(3)]
    first.stop()
    ask(first, "DELETE FROM mail")  # as after a kill before it was filled
    ask(first, "UPDATE meta SET value = 0 WHERE name = 'indexed_upto'")
    server = damaged(start, first, ids[1], DAMAGE["addresses"])
    assert numbers(server, "ann") == [0, 2]
    server.send("ann", 3)
    assert server.http.delete("/users/ann/messages").json()["erased"] == 3


@pytest.mark.parametrize("fields", [{"ttl": 3}, {}], ids=["own", "default"])
def test_what_cannot_be_read_goes_with_its_age(start, fields):
    first = keep(start, "--ttl", "3s")
    ids = [first.send("ann", n, **fields)["id"] for n in range(3)]
    wait_for_index(first)
    server = damaged(start, first, ids[0], DAMAGE["addresses"], "--ttl", "3s")
    wait_until(lambda: server.metric("broker_messages") == 0)


def test_what_cannot_be_read_goes_with_the_total(start):
    options = ("--keep-total", "2MiB", "--recent-bytes", "1MiB")
    first = keep(start, *options)
    ids = [first.send("ann", [n, "x" * 20_000])["id"] for n in range(50)]
    wait_for_index(first)
    server = damaged(start, first, ids[0], DAMAGE["addresses"], *options)
    for n in range(50, 200):
        server.send("ann", [n, "x" * 20_000])
    wait_until(lambda: server.metric("broker_bytes") <= (2 << 20))
    assert ask(server, "SELECT min(id) FROM message") > int(ids[0])
