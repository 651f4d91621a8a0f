"""Fixtures: servers that are stopped, and looked at once more, when their test ends."""

import itertools
import socket

import pytest

from contract import CONTRACT
from guarded import Files
from harness import Server, serving
from node import node_in_place


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the tests marked `long`, too")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--long") or "long" in (config.getoption("-m") or ""):
        return
    for item in items:
        if "long" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="long: run with --long"))


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


@pytest.fixture(autouse=True)
def contract():
    """What the test and its servers said to each other is as docs/api says."""
    yield
    found = CONTRACT.take_violations()
    assert not found, "not as docs/api has it:\n" + "\n".join(found)


@pytest.fixture
def start(tmp_path, request):
    """start(*args, env=…): a server that lives until the end of the test, in a fresh folder, or in
    that of an earlier one: start(folder=first.folder).

    It must then stop by SIGTERM with exit code 0. A server that the test itself has ended is left
    alone."""
    servers = []

    def start_one(*args, **options):
        folder = options.pop("folder", None)
        if folder is None:
            folder = tmp_path / f"server-{len(servers)}"
            folder.mkdir()
        servers.append(Server(folder, *args, **options))
        return servers[-1]

    yield start_one
    try:
        for server in servers:
            server.stop()
    finally:
        for server in servers:
            server.kill()
            if getattr(request.node, "failed", False):
                print(f"--- log of the server {server.address}\n{server.log_text()}")


@pytest.fixture
def unused_tcp_port():
    """One that nobody listens on, just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server(start):
    """A server with its defaults."""
    return start()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server with its defaults, for all tests of a file that leave no traces in each other's way
    (each uses its own users)."""
    with serving(tmp_path_factory.mktemp("shared")) as made:
        yield made


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Keys and secrets for a server with credentials."""
    return Files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def guarded(files, tmp_path_factory):
    """The server that has them, for all tests of a file."""
    with serving(tmp_path_factory.mktemp("guarded"), *files.args) as made:
        yield made


@pytest.fixture(scope="session")
def node():
    return node_in_place()


numbers = itertools.count(1)


@pytest.fixture
def user():
    """A user id that no other test has."""
    return f"user-{next(numbers)}"
