"""/metrics: well-formed, and its counters move."""

import re

import pytest

from harness import http_client, run, wait_until

pytestmark = pytest.mark.workers

SAMPLE = re.compile(r'^([a-z_]+)(?:\{([a-z]+="[^"\\\n]*"(?:,[a-z]+="[^"\\\n]*")*)\})? '
                    r'(-?\d+(?:\.\d+)?(?:e-?\d+)?|\+Inf)$')


def test_the_text_is_well_formed(shared):
    shared.send("somebody-with-a-name")
    answer = shared.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.text.endswith("\n")
    kinds, seen, current = {}, set(), None
    for line in answer.text.splitlines():
        if line.startswith("# HELP "):
            assert re.fullmatch(r"# HELP (pushwire|process)_[a-z_]+ \S.*", line)
        elif line.startswith("# TYPE "):
            found = re.fullmatch(r"# TYPE ((?:pushwire|process)_[a-z_]+) (counter|gauge|histogram)", line)
            current = found[1]
            assert current not in kinds, "a family comes in one piece"
            kinds[current] = found[2]
        else:
            name, labels, _ = SAMPLE.match(line).groups()
            family = re.sub("_(bucket|sum|count)$", "", name) if kinds[current] == "histogram" \
                else name
            assert family == current
            assert (name, labels) not in seen
            seen.add((name, labels))
            if kinds[current] == "counter":
                assert name.endswith("_total")
    assert "somebody" not in answer.text


def test_histograms_rise_to_their_count(shared):
    shared.send()
    samples = shared.metrics()
    buckets = [v for k, v in samples.items() if k.startswith("pushwire_publish_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == samples["pushwire_publish_seconds_count"] > 0
    assert samples["pushwire_publish_seconds_sum"] > 0


@pytest.mark.parametrize("name", [
    "build_info", "published_total", "publish_seconds_count", "delivered_total", "sessions",
    "replayed_total", "gaps_total", "doubts_total", "handed_over_total", "http_connections",
    "http_requests_total",
    "broker_bytes", "broker_messages", "open_fds", "max_fds"])
def test_every_promised_name_is_there(shared, name):
    assert any(re.match(f"pushwire_{name}(\\{{|$)", sample) for sample in shared.metrics())


def test_published_and_kept_messages_are_counted(server):
    assert server.published() == 0
    for _ in range(3):
        server.send()
    server.send(ttl=0)
    server.send(["a", "b"])
    assert server.metric("published_total", kind="message") == 5
    assert server.metric("broker_messages") == 4
    assert server.metric("broker_bytes") > 0
    server.http.delete("/users/alice/messages")
    assert server.metric("broker_messages") == 1


def test_commits_are_timed_that_somebody_waits_for(start):
    server = start("--broker", "sqlite")
    for ttl in (60, 60, 1):
        server.send("ann", ttl=ttl)
    wait_until(lambda: server.metric("broker_messages") == 2)  # that took a commit of its own
    assert server.metric("commit_seconds_count") == 3


def test_sessions_deliveries_and_closes_are_counted(server):
    async def scenario():
        async with server.ws("/ws/alice") as one, server.ws("/ws/alice") as two:
            assert server.metric("sessions", transport="websocket", state="live") == 2
            server.send()
            await one.recv()
            await two.recv()

    run(scenario())
    wait_until(lambda: server.metric("sessions") == 0)
    assert server.metric("delivered_total", transport="websocket") == 2
    assert server.metric("closed_total") == 2


def test_replays_are_counted(server):
    for _ in range(3):
        server.send()

    async def scenario():
        async with server.ws("/ws/alice?after=0") as socket:
            for _ in range(3):
                await socket.recv()

    run(scenario())
    assert server.metric("replayed_total") == 3


def test_gaps_are_counted(start):
    server = start("--broker", "memory", "--keep-messages", "1")
    first = server.send()["id"]
    for _ in range(3):
        server.send()

    async def scenario():
        async with server.ws(f"/ws/alice?after={first}", form="json") as socket:
            for _ in range(3):
                await socket.recv()  # welcome, gap, the message that is left

    run(scenario())
    assert server.metric("gaps_total") == 1


def test_requests_and_connections_are_counted(server):
    before = server.metric("http_requests_total")
    server.http.get("/healthz")
    assert server.metric("http_requests_total") == before + 2
    assert server.metric("http_connections") == 1
    with http_client(server.url) as other:
        other.get("/healthz")
        assert server.metric("http_connections") == 2
    wait_until(lambda: server.metric("http_connections") == 1)


def test_descriptors_are_counted(server):
    before = server.metric("open_fds")
    socks = [server.connect() for _ in range(10)]
    wait_until(lambda: server.metric("open_fds") == before + 10)
    for sock in socks:
        sock.close()
    wait_until(lambda: server.metric("open_fds") == before)
    assert server.metric("max_fds") >= 64


def test_metrics_may_have_an_address_of_their_own(start):
    server = start("--metrics-listen", "127.0.0.1:0")
    assert server.http.get("/metrics").status_code == 404
    line = next(line for line in server.log if " metrics " in line)
    address = re.search(r"listen=(\S+)", line)[1]
    with http_client(f"http://{address}", checked=False) as client:
        assert "pushwire_build_info" in client.get("/metrics").text
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        assert client.post("/send-message", json={}).status_code == 404
