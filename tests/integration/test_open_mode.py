"""Without credentials: pages of this machine may come, other sites may not."""

import asyncio

import pytest
import websockets

from harness import run

PAGE = "http://localhost:3000"
ALLOWED = ["http://localhost:3000", "http://localhost", "https://localhost:8443",
           "http://127.0.0.1:5173", "http://[::1]:8080", "https://127.0.0.1"]
REFUSED = ["http://evil.example", "https://localhost.evil.example", "http://localhost@evil.example",
           "null", "http://127.0.0.1.evil.example", "http://notlocalhost:3000", "localhost:3000",
           "file://", "http://localhost:3000/", "http://localhost:port", "http://[::2]:80",
           "chrome-extension://abcdef", "http://127.0.0.2", "http://localhost:3000, http://x", "",
           "http://0.0.0.0:8000", "http://LOCALHOST.evil.example"]
HOSTS_ALLOWED = ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:1234", "[::1]", "[::1]:80",
                 "LocalHost"]
HOSTS_REFUSED = ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io",
                 "10.0.0.1", "[::2]", "localhost:", "localhost:x", "localhost:123456", "0.0.0.0"]
BODY = {"sender": "bob", "receiver": "alice", "message": "hi"}


def send(server, **headers):
    return server.http.post("/send-message", json=BODY, headers=headers)


@pytest.mark.parametrize("origin", ALLOWED)
def test_a_page_of_this_machine_may_send_and_read_the_answer(shared, origin):
    answer = send(shared, Origin=origin)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", REFUSED)
def test_other_pages_are_403_and_nothing_is_sent(shared, origin):
    before = shared.published()
    answer = send(shared, Origin=origin)
    assert answer.status_code == 403
    assert answer.json()["code"] == "origin_not_allowed"
    assert "access-control-allow-origin" not in answer.headers
    assert shared.published() == before


@pytest.mark.parametrize("host", HOSTS_ALLOWED)
def test_names_of_this_machine_are_served(shared, host):
    assert send(shared, Host=host).status_code == 200


@pytest.mark.parametrize("host", HOSTS_REFUSED)
def test_a_name_that_was_bent_to_this_machine_is_403(shared, host):
    before = shared.published()
    for origin in ({}, {"Origin": f"http://{host}"}):
        answer = send(shared, Host=host, **origin)
        assert answer.status_code == 403
        assert answer.json()["code"] == "host_not_allowed"
        assert shared.http.get("/", headers={"Host": host, **origin}).status_code == 403
    assert shared.published() == before


def preflight(server, origin=PAGE, path="/send-message", method="POST", headers="content-type"):
    return server.http.options(path, headers={
        "Origin": origin, "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers})


@pytest.mark.parametrize("path", ["/send-message", "/users/alice", "/users/alice/messages",
                                  "/users/query"])
def test_a_preflight_is_answered(shared, path):
    answer = preflight(shared, path=path)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "GET, POST, DELETE"
    assert answer.headers["access-control-allow-headers"] == "content-type"
    assert answer.headers["access-control-max-age"] == "600"
    assert answer.headers["vary"] == "Origin"
    assert answer.content == b""


def test_a_preflight_of_another_site_is_refused(shared):
    answer = preflight(shared, origin="http://evil.example")
    assert answer.status_code == 403
    assert not [h for h in answer.headers if h.startswith("access-control")]


def test_what_a_page_s_framework_adds_is_allowed_where_the_page_is(start):
    server = start("--allowed-origins", "https://*.preview.example.com,https://app.example:443")
    asked = "authorization,baggage,content-type,sentry-trace,x-request-id,x-requested-with"
    for origin, listed in (("https://pr-7.preview.example.com", True), (PAGE, False),
                           ("https://app.example", True)):
        answer = preflight(server, origin=origin, headers=asked)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-headers"] == asked
        sent = send(server, Origin=origin, **{"X-Requested-With": "XMLHttpRequest"})
        for answered in (answer, sent):
            assert answered.headers["access-control-allow-origin"] == origin
            assert (answered.headers.get("access-control-allow-credentials") == "true") == listed
        assert "Retry-After" in sent.headers["access-control-expose-headers"]
        assert "X-Request-Id" in sent.headers["access-control-expose-headers"]
    for origin in ("https://preview.example.com", "https://xpreview.example.com", "null"):
        answer = preflight(server, origin=origin, headers=asked)
        assert answer.status_code == 403
        assert not [h for h in answer.headers if h.startswith("access-control")]
    answer = preflight(server, headers="a b: c")
    assert "access-control-allow-headers" not in answer.headers


def test_the_remedy_for_a_page_without_an_origin_is_another(shared):
    assert "allowed_origins" in send(shared, Origin="https://evil.example").json()["detail"]
    assert "over HTTP" in send(shared, Origin="null").json()["detail"]


@pytest.mark.parametrize("path", ["/poll/{}?wait=0&device=x1&after=1", "/sse/{}?device=x2",
                                  "/users/{}", "/users/{}/messages", "/metrics", "/users"])
def test_another_site_s_image_has_no_effect(shared, user, path):
    headers = {"Sec-Fetch-Site": "cross-site"}
    with shared.http.stream("GET", path.format(user), headers=headers) as answer:
        assert answer.status_code == 403
    described = shared.http.get(f"/users/{user}").json()
    assert not described["online"] and not described.get("devices")


@pytest.mark.parametrize("path", ["/", "/docs/errors", "/client.js", "/healthz"])
def test_another_site_s_link_leads_to_the_page(shared, path):
    answer = shared.http.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code in (200, 501)  # 501: built without the client


@pytest.mark.parametrize("site", ["none", "same-origin", "same-site"])
def test_what_this_machine_s_own_pages_ask_is_served(shared, user, site):
    answer = shared.http.get(f"/poll/{user}?wait=0", headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 200
    answer = shared.http.get(f"/poll/{user}?wait=0",
                             headers={"Sec-Fetch-Site": "cross-site", "Origin": PAGE})
    assert answer.status_code == 200


def test_errors_carry_cors_headers_so_that_a_page_can_read_them(shared):
    big = {"content": b" " * 300000}
    for method, path, options in [("GET", "/nothing", {}), ("PUT", "/users", {}),
                                  ("POST", "/send-message", {"json": {}}),
                                  ("POST", "/send-message", {"content": b"x"}),
                                  ("POST", "/send-message", big), ("GET", "/users/%00", {}),
                                  ("GET", "/users?limit=x", {}), ("GET", "/users?limit=%", {}),
                                  ("GET", "/ws/alice", {})]:
        answer = shared.http.request(method, path, headers={"Origin": PAGE}, **options)
        assert answer.status_code >= 400
        assert answer.headers.get("access-control-allow-origin") == PAGE, path
        assert answer.headers["vary"] == "Origin"


def test_what_may_be_cached_varies_by_origin(shared):
    for path in ("/", "/users/alice", "/users", "/nothing"):
        assert "Origin" in shared.http.get(path).headers.get_list("vary")


def test_without_an_origin_there_are_no_cors_headers(shared):
    assert "access-control-allow-origin" not in send(shared).headers


@pytest.mark.parametrize("name,values", [
    ("Origin", [PAGE, "http://evil.example"]), ("Origin", ["http://evil.example", PAGE]),
    ("Origin", ["http://evil.example"] * 2), ("Sec-Fetch-Site", ["cross-site"] * 2),
    ("Content-Type", ["text/plain"] * 2), ("Content-Type", ["application/json", "text/plain"]),
    ("Idempotency-Key", ["a", "b"]),
])
def test_what_decides_must_not_come_twice(shared, name, values):
    before = shared.published()
    content = {} if name == "Content-Type" else {"Content-Type": "application/json"}
    answer = shared.http.post("/send-message", content=b'{"sender":"b","receiver":"a","message":1}',
                              headers=[*content.items(), *[(name, value) for value in values]])
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_request"
    assert shared.published() == before


def handshake_status(server, **options):
    async def scenario():
        try:
            async with server.ws("/ws/alice", **options):
                return 101
        except websockets.InvalidStatusCode as refused:
            return refused.status_code

    return run(scenario())


def test_a_page_on_port_3000_gets_the_message_as_in_the_tutorial(shared, user):
    async def scenario():
        async with shared.ws(f"/ws/{user}", origin=PAGE) as tab:
            await asyncio.to_thread(send_to, shared, user)
            assert await tab.recv() == "[bob]: hi"

    run(scenario())


def send_to(server, user):
    answer = server.http.post("/send-message", headers={"Origin": PAGE},
                              json={"sender": "bob", "receiver": user, "message": "hi"})
    assert answer.json()["status"] == "Message sent"


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_other_sites_cannot_open_a_websocket(shared, origin):
    assert handshake_status(shared, origin=origin) == 403


def test_a_bent_name_cannot_open_a_websocket(shared):
    # The client library sends its own Host, so this one speaks by hand.
    answer = shared.http.get("/ws/alice", headers={
        "Host": "evil.example", "Connection": "Upgrade", "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="})
    assert answer.status_code == 403


def test_listed_origins_may_come_exactly_as_listed(start):
    server = start("--allowed-origins", "https://app.example.com,https://b.example:8443")
    assert send(server, Origin="https://app.example.com").status_code == 200
    assert send(server, Origin="https://b.example:8443").status_code == 200
    assert send(server, Origin=PAGE).status_code == 200
    for origin in ("http://app.example.com", "https://app.example.com:444", "https://b.example",
                   "https://x.app.example.com", "https://app.example.com.evil.example"):
        assert send(server, Origin=origin).status_code == 403


def test_insecure_open_lifts_the_host_check_and_says_so(start):
    server = start("--insecure-open")
    assert send(server, Host="push.example").status_code == 200
    assert send(server, Host="push.example", Origin="http://push.example").status_code == 200
    assert send(server, Host="push.example", Origin="http://evil.example").status_code == 403
    assert any("INSECURE" in line for line in server.log)
