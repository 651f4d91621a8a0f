"""Who may do what: every route, over every way in, with every kind of credentials."""

import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from frames import Client
from guarded import OTHER_SECRET, Files, bearer, token
from harness import run_binary
from streams import Events
from test_tokens import ec_jwk

MESSAGE = {"receiver": "ada", "message": "hi"}


def credentials(files):
    """By name: what stands in Authorization, or None."""
    return {
        "nothing": None,
        "basic": "Basic cHc6cHc=",
        "wrong key": "Bearer pw_plain_" + "0" * 48,
        "no such key": "Bearer pw_nobody_" + "0" * 48,
        "forged": f"Bearer {token('ada', secret=OTHER_SECRET)}",
        "expired": f"Bearer {token('ada', ttl=-31)}",
        **{name: f"Bearer {key}" for name, key in files.keys.items()},
        "ada": f"Bearer {token('ada', channels=['news'])}",
        "ada+": f"Bearer {token('ada', channels=['news'], publish=True)}",
        "eve": f"Bearer {token('eve')}",
    }


NOBODY = ("nothing", "basic", "wrong key", "no such key", "forged", "expired")
KEYS = ("sender", "plain", "reader", "manager", "minter", "tenant", "one")
TOKENS = ("ada", "ada+", "eve")

# method, path, body, who is let in; everybody else who is known is told 403, the rest 401
ROUTES = [
    ("POST", "/send-message", {**MESSAGE, "sender": "bill"}, {"sender", "plain"}),
    ("POST", "/send-message", {**MESSAGE, "sender": "ada"}, {"plain", "ada+"}),
    ("POST", "/send-message", MESSAGE, {"sender", "ada+"}),  # to others a sender is missing
    ("POST", "/send-message", {"sender": "x", "receiver": "acme:ada", "message": 1},
     {"plain", "tenant"}),
    ("POST", "/send-message", {"sender": "x", "receivers": ["acme:ada", "ada"], "message": 1},
     {"plain"}),
    ("POST", "/send-message", {"sender": "x", "channel": "acme:c", "message": 1},
     {"plain", "tenant"}),
    ("GET", "/users/ada", None, {"reader", "ada", "ada+"}),
    ("GET", "/users/acme:ada", None, {"reader", "tenant"}),
    ("POST", "/users/query", {"users": ["ada"]}, {"reader"}),
    ("POST", "/users/query", {"users": ["acme:ada"]}, {"reader", "tenant"}),
    ("POST", "/users/query", {"users": ["acme:ada", "ada"]}, {"reader"}),
    ("GET", "/users", None, {"manager"}),
    ("GET", "/users/ada/messages", None, {"reader", "ada", "ada+"}),
    ("GET", "/channels/news", None, {"reader", "ada", "ada+"}),
    ("GET", "/channels/news/messages", None, {"reader", "ada", "ada+"}),
    ("GET", "/channels/acme:c/messages", None, {"reader", "tenant"}),
    ("DELETE", "/users/ada/sessions", None, {"manager"}),
    ("DELETE", "/users/acme:ada/sessions", None, {"manager", "tenant"}),
    ("DELETE", "/users/ada/messages", None, {"manager"}),
    ("POST", "/users/ada/ack", {"device": "phone", "id": "0"}, {"ada", "ada+"}),
    ("DELETE", "/users/ada/devices/phone", None, {"manager"}),
    ("DELETE", "/users/acme:ada/devices/phone", None, {"manager", "tenant"}),
    ("GET", "/messages/1", None, {"reader", "tenant", "one"}),
    ("POST", "/users/nobody/revoke", None, {"manager"}),
    ("POST", "/users/acme:nobody/revoke", None, {"manager", "tenant"}),
    ("POST", "/tokens", {"user": "ada"}, {"minter"}),
    ("POST", "/tokens", {"user": "acme:ada"}, {"minter", "tenant"}),
    ("POST", "/tokens", {"user": "acme:ada", "channels": ["acme:x*"]}, {"minter", "tenant"}),
    ("POST", "/tokens", {"user": "acme:ada", "channels": ["news"]}, {"minter"}),
    ("POST", "/tokens", {"user": "acme:ada", "publish": ["*"]}, {"minter"}),
    ("GET", "/metrics", None, {"reader", "tenant", "one"}),
    ("GET", "/healthz", None, {*NOBODY, *KEYS, *TOKENS}),
    ("GET", "/readyz", None, {*NOBODY, *KEYS, *TOKENS}),
    ("GET", "/", None, {*NOBODY, *KEYS, *TOKENS}),
    ("GET", "/client.js", None, {*NOBODY, *KEYS, *TOKENS}),
    *(("GET", path, None, {*NOBODY, *KEYS, *TOKENS})
      for path in ("/docs", "/docs/errors", "/llms.txt", "/openapi.yaml", "/openapi.json",
                   "/asyncapi.yaml", "/asyncapi.json")),
    ("GET", "/poll/ada?wait=0", None, {"ada", "ada+"}),
    ("GET", "/poll/ada?wait=0&channels=news", None, {"ada", "ada+"}),
    ("GET", "/poll/ada?wait=0&channels=other", None, set()),
    ("GET", "/poll/ada?wait=0&channel=other", None, set()),
    ("POST", "/poll/ada?wait=0", {"channels": ["news"]}, {"ada", "ada+"}),
    ("POST", "/poll/ada?wait=0", {"channels": ["other", "news"]}, set()),
]


# Who may ask for what is not there hears so.
OTHERWISE = {"/client.js": 501, "/openapi.json": 404, "/asyncapi.json": 404, "/users/ada/ack": 404, "/users/ada/devices/phone": 404,
             "/users/acme:ada/devices/phone": 404, "/messages/1": 404}


def test_each_line_knows_who_may(guarded, files):
    lines = "".join(json.dumps({"sender": "x", "message": 1, **to}) + "\n" for to in (
        {"receiver": "ada"}, {"receiver": "acme:ada"}, {"broadcast": True}, {"channel": "news"}))
    expected = {
        "plain": [200, 200, 403, 200], "tenant": [403, 200, 403, 403], "sender": [403] * 4, "one": 403,
        **{who: 401 for who in NOBODY}, "reader": 403, "manager": 403, "minter": 403, "ada": 403,
        "eve": 403, "ada+": [403] * 4}
    for who, value in credentials(files).items():
        headers = {"Content-Type": "application/x-ndjson"}
        answer = guarded.http.post("/send-messages", content=lines.encode(),
                                   headers={**headers, **({"Authorization": value} if value else {})})
        got = answer.status_code
        if got == 200:
            got = [json.loads(line).get("status") for line in answer.text.splitlines()]
            got = [200 if one == "Message sent" else one for one in got]
        assert got == expected[who], (who, answer.text)


@pytest.mark.parametrize("method,path,body,welcome", ROUTES,
                         ids=[f"{m} {p} {list(b or {})}" for m, p, b, _ in ROUTES])
def test_every_route_knows_who_may(guarded, files, method, path, body, welcome):
    for who, value in credentials(files).items():
        headers = {"Authorization": value} if value else {}
        answer = guarded.http.request(method, path, headers=headers, **({"json": body} if body else {}))
        got = answer.status_code
        if who in welcome:
            assert got == OTHERWISE.get(path, 200) or got == 200, (who, answer.text)
        elif who in NOBODY:
            assert got == 401, (who, answer.text)
            assert answer.json()["code"] == ("token_expired" if who == "expired" else "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        elif body == MESSAGE and who in ("plain", "tenant"):
            assert answer.json()["code"] == "missing_field"
        else:
            assert got == 403, (who, answer.text)
            assert answer.json()["code"] in ("missing_scope", "forbidden"), who


def test_every_route_of_the_source_is_in_the_table():
    from harness import ROOT
    source = "".join(file.read_text() for file in (ROOT / "src/top/worker.c", *(ROOT / "src/api").glob("*.c"), *(ROOT / "src/session").glob("*.c")))
    routes = set(re.findall(r'\{"([A-Z]+)",\s*"(/[^"]*)"', source))
    assert len(routes) > 15
    tried = {(method, re.sub(r"/devices/.+", "/devices/:name",
                             re.sub(r"^/(users|channels|poll|messages|docs)/(?!query)[^/?]+", r"/\1/:id",
                                    path.split("?")[0])))
             for method, path, _, _ in ROUTES}
    streams = {("GET", "/ws/:id"), ("GET", "/ws"), ("GET", "/rooms/:id"), ("GET", "/sse/:id"),
               ("POST", "/sse/:id"), ("GET", "/ws-echo")}  # below; the echo is for loopback only
    routes.discard(("POST", "/send-messages"))  # above
    assert routes - streams == tried & routes == tried


def test_an_id_is_no_name(guarded, files):
    """A prefix of digits is one of names; ids begin with digits as well."""
    ids = [guarded.http.post("/send-message", headers=files.as_key("plain"),
                             json={"sender": "x", "message": 1, **to}).json()["id"]
           for to in ({"receiver": "ada"}, {"receiver": "1ada"}, {"receivers": ["ada", "1ada"]},
                      {"channel": "1c"}, {"channel": "c"})]
    for user in ("ada", "1ada"):
        claim = {"Authorization": f"Bearer {token(user)}"}
        assert guarded.http.get(f"/poll/{user}?wait=0&device={user}-phone&after=1",
                                headers=claim).status_code == 200
        assert guarded.http.post(f"/users/{user}/ack", headers=claim,
                                 json={"device": f"{user}-phone", "id": ids[2]}).status_code == 200

    def devices(who, id):
        answer = guarded.http.get(f"/messages/{id}", headers=files.as_key(who))
        if answer.status_code == 404:
            assert answer.json()["detail"] == "No message with this id is kept."
            return None
        return {ack["device"] for ack in answer.json()["acks"]}

    assert [id[0] for id in ids] == ["1"] * len(ids)
    assert [devices("one", id) for id in ids] == [None, {"1ada-phone"}, {"1ada-phone"}, set(), None]
    assert [devices("reader", id) for id in ids] == [
        {"ada-phone"}, {"1ada-phone"}, {"ada-phone", "1ada-phone"}, set(), set()]
    assert devices("tenant", ids[1]) is None


def test_a_key_with_a_prefix_sees_no_other_key(guarded, files):
    def shown(who):
        text = guarded.http.get("/metrics", headers=files.as_key(who)).text
        assert "pushwire_published_total" in text
        return set(re.findall(r'key_uses_total\{key="([^"]+)"', text))

    assert shown("tenant") == {"tenant"} and shown("one") == {"one"}
    assert shown("reader") == set(files.keys)


def test_a_refused_request_changes_nothing(guarded, files):
    metrics = files.as_key("reader")

    def published():
        text = guarded.http.get("/metrics", headers=metrics).text
        return re.search(r'published_total\{kind="message"\} (\d+)', text)[1]

    before = published()
    for who, value in credentials(files).items():
        if who not in ("sender", "plain"):
            guarded.http.post("/send-message", headers={"Authorization": value} if value else {},
                              json={**MESSAGE, "sender": "bill"})
    assert published() == before


def test_a_broadcast_needs_manage(guarded, files):
    everyone = {"sender": "x", "broadcast": True, "message": 1}
    answer = guarded.http.post("/send-message", json=everyone, headers=files.as_key("plain"))
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    answer = guarded.http.post("/send-message", json=everyone, headers=files.as_key("tenant"))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


# what a WebSocket and an event stream end with, or None: welcome
STREAMS = {
    **{who: "unauthorized" for who in NOBODY}, "expired": "token_expired",
    **{who: "missing_scope" for who in KEYS}, "ada": None, "ada+": None, "eve": "forbidden",
}
CLOSE = {"unauthorized": 4401, "token_expired": 4440, "missing_scope": 4403, "forbidden": 4403}


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_websocket_closes_with_a_code_that_a_browser_sees(guarded, files, form):
    for who, value in credentials(files).items():
        if form == "json" and value in (None, "Basic cHc6cHc="):
            continue  # may still bring its token
        headers = {"Authorization": value} if value else {}
        with Client(guarded.port, f"/ws/ada?format={form}", headers) as client:
            code = STREAMS[who]
            if code is None and form == "json":
                assert client.recv_json()["type"] == "welcome"
            elif code is None:
                client.alive()
            else:
                if form == "json":
                    assert client.recv_json()["code"] == code, who
                client.expect_close(CLOSE[code])


def test_an_event_stream_says_bye_and_does_not_come_back_soon(guarded, files):
    for who, value in credentials(files).items():
        headers = [f"Authorization: {value}"] if value else []
        with Events(guarded, "ada", headers=headers, welcome=False) as stream:
            first = stream.next()
            if STREAMS[who] is None:
                assert first.event == "welcome", who
            else:
                assert first.event == "bye" and first.retry == 60000, who
                assert first.json == {"type": "bye", "code": STREAMS[who], "retry_ms": 60000}


@pytest.mark.parametrize("path,claims,code", [
    ("/ws", {"channels": ["lobby"], "publish": ["lobby"]}, None),
    ("/ws", {"channels": ["lobby"]}, 4403),
    ("/ws", {"publish": True}, 4403),
    ("/rooms/tea", {"channels": ["room:*"], "publish": ["room:*"]}, None),
    ("/rooms/tea?name=bob", {"channels": ["room:tea"], "publish": True}, None),
    ("/rooms/tea", {"channels": ["room:coffee"], "publish": True}, 4403),
    ("/rooms/tea", {"channels": ["*"], "publish": ["room:coffee"]}, 4403),
    ("/rooms/tea?name=bob", None, 4401),
    ("/ws", None, 4401),
])
def test_rooms_need_both_to_hear_and_to_speak(guarded, path, claims, code):
    headers = {} if claims is None else bearer(token("ada", **claims))
    with Client(guarded.port, path, headers) as client:
        if code:
            client.expect_close(code)
        else:
            client.alive()


def test_a_guest_speaks_under_its_own_name(guarded):
    def come(user, query=""):
        made = token(user, channels=["room:*"], publish=True)
        client = Client(guarded.port, f"/rooms/own{query}", bearer(made))
        client.alive()
        return client

    with come("ada", "?name=bob") as ada, come("eve") as eve:
        from frames import text
        ada.send(text("hello"))
        assert eve.recv_data().text == "ada: hello"


def test_channels_need_a_token_that_covers_them(guarded):
    made = token("ada", channels=["news", "team-*"])

    def opened(channels):
        return Client(guarded.port, f"/ws/ada?format=json&channels={channels}&token={made}")

    with opened("news,team-x") as client:
        assert client.recv_json()["type"] == "welcome"
    with opened("news,teams") as client:
        assert client.recv_json()["code"] == "forbidden"
        client.expect_close(4403)


def test_a_session_stays_within_its_token(guarded):
    from frames import text
    made = token("ada", channels=["news"], publish=["news"])
    with Client(guarded.port, f"/ws/ada?format=json&token={made}") as client:
        assert client.recv_json()["type"] == "welcome"

        def ask(**frame):
            client.send(text(json.dumps(frame)))
            return client.recv_json()

        assert ask(type="subscribe", channel="news")["type"] == "subscribed"
        assert ask(type="subscribe", channel="other")["code"] == "forbidden"
        assert ask(type="send", channel="other", message=1)["code"] == "forbidden"
        assert ask(type="send", receiver="eve", message=1)["code"] == "forbidden"
        client.send(text(json.dumps({"type": "send", "channel": "news", "message": 1})))
        assert {client.recv_json()["type"], client.recv_json()["type"]} == {"sent", "message"}
    with Client(guarded.port, f"/ws/ada?format=json&token={token('ada')}") as client:
        client.recv_json()
        client.send(text('{"type":"send","receiver":"eve","message":1,"ref":"r"}'))
        answer = client.recv_json()
        assert (answer["code"], answer["ref"]) == ("missing_scope", "r")


def test_the_log_says_who_was_refused_and_why_and_no_secret(start, files):
    guarded = start(*files.args)  # of one kind of refusal, only so many a second are told
    made = token("ada")
    guarded.http.get("/users/eve", headers={**bearer(made), "X-Request-Id": "refused-1"})
    guarded.http.get("/users/eve", headers={**files.as_key("plain"), "X-Request-Id": "refused-2"})
    guarded.http.get("/poll/eve", params={"token": "x.y.z", "wait": 0},
                     headers={"X-Request-Id": "refused-3"})
    from harness import wait_until
    wait_until(lambda: "refused-3" in guarded.log_text())
    lines = {n: line for line in guarded.log for n in ("refused-1", "refused-2", "refused-3")
             if f"request_id={n}" in line}
    assert "user=ada" in lines["refused-1"] and "code=forbidden" in lines["refused-1"]
    assert "key=plain" in lines["refused-2"] and "why=\"the scope read" in lines["refused-2"]
    assert "client=127.0.0.1" in lines["refused-3"] and "why=" in lines["refused-3"]
    text = guarded.log_text()
    assert not any(secret in text for secret in (made, "x.y.z", *files.keys.values()))


def test_a_key_is_no_token_and_does_not_travel_in_addresses(guarded, files):
    key = files.keys["plain"]
    for path in ("/users/ada", "/metrics", "/users/ada/messages"):
        assert guarded.http.get(path, params={"token": files.keys["reader"]}).status_code == 401
    with Client(guarded.port, f"/ws/ada?format=json&token={key}") as client:
        client.recv_json()
        client.expect_close(4403)


def test_credentials_must_not_come_twice(guarded, files):
    one = ("Authorization", f"Bearer {files.keys['reader']}")
    answer = guarded.http.get("/users/ada", headers=[one, one])
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_preflights_and_errors_need_no_credentials(start, files):
    server = start(*files.args, "--allowed-origins", "https://app.example")
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for origin, status in (("https://app.example", 204), ("http://localhost:3000", 403),
                           ("https://evil.example", 403), ("null", 403)):
        answer = server.http.options("/send-message", headers={"Origin": origin, **ask})
        assert answer.status_code == status, origin
        assert answer.headers.get("access-control-allow-origin") == (
            origin if status == 204 else None)
    for path in ("/users/ada", "/poll/ada?wait=0", "/nothing"):
        answer = server.http.get(path, headers={"Origin": "https://app.example"})
        assert answer.status_code in (401, 404)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["access-control-allow-credentials"] == "true"
    good = {**files.as_key("plain"), "Origin": "https://evil.example"}
    answer = server.http.post("/send-message", json={**MESSAGE, "sender": "x"}, headers=good)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")


def test_any_host_will_do_with_credentials_and_the_page_s_own_origin(guarded, files):
    headers = {**files.as_key("reader"), "Host": "push.example"}
    assert guarded.http.get("/users/ada", headers=headers).status_code == 200
    own = {**headers, "Origin": "https://push.example"}
    assert guarded.http.get("/users/ada", headers=own).status_code == 200


def test_with_credentials_it_may_listen_anywhere(start, files):
    server = start(*files.args, listen="0.0.0.0:0")
    assert server.http.get("/healthz").status_code == 200
    assert not any("INSECURE" in line for line in server.log)


def test_an_empty_keys_file_closes_every_door(start, tmp_path):
    empty = tmp_path / "keys"
    empty.write_text("")
    server = start("--keys-file", empty)
    assert server.http.post("/send-message", json={**MESSAGE, "sender": "x"}).status_code == 401
    with Client(server.port, "/ws/ada") as client:
        client.expect_close(4401)


def test_metrics_have_a_port_of_their_own_without_credentials(start, files):
    server = start(*files.args, "--metrics-listen", "127.0.0.1:0")
    line = next(line for line in server.log if " metrics " in line)
    url = "http://" + re.search(r"listen=(\S+)", line)[1]
    import httpx
    assert httpx.get(url + "/metrics", trust_env=False).status_code == 200
    assert server.http.get("/metrics", headers=files.as_key("reader")).status_code == 404


def test_a_byte_order_mark_is_no_part_of_a_file(start, tmp_path):
    """Editors may write one first; also in the key set and in the configuration."""
    made, key = Files(tmp_path / "marked"), ec.generate_private_key(ec.SECP256R1())
    jwks, config = tmp_path / "jwks.json", tmp_path / "pushwire.yaml"
    jwks.write_text(json.dumps({"keys": [ec_jwk(key, "curve")]}))
    config.write_text("".join(f"{name}: {path}\n" for name, path in (
        ("keys_file", made.keys_file), ("jwt_secret_file", made.secret_file), ("jwks_file", jwks))))
    for path in (made.keys_file, made.secret_file, jwks, config):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    server = start("--config", config)
    assert server.http.get("/users/ada", headers=made.as_key("reader")).status_code == 200
    signed = token("ada", secret=key, algorithm="ES256", headers={"kid": "curve"})
    for good in (token("ada"), signed):
        assert server.http.get("/poll/ada?wait=0", headers=bearer(good)).status_code == 200


@pytest.mark.parametrize("option", ["--keys-file", "--jwt-secret-file", "--jwks-file"])
def test_credentials_in_utf_16_are_refused(tmp_path, option):
    path = tmp_path / "file"
    path.write_bytes(("s" * 40).encode("utf-16"))
    done = run_binary(option, path, "--listen", "127.0.0.1:0", cwd=tmp_path)
    assert done.returncode and f"{path}: is UTF-16; save it as UTF-8" in done.stderr


def test_trusted_proxies_name_the_client(start, files):
    def peer_of(server, forwarded):
        server.http.get("/users/ada", headers=[("X-Request-Id", "who"), *forwarded])
        from harness import wait_until
        return wait_until(lambda: [re.search(r"client=(\S+)", line)[1] for line in server.log
                                   if "request_id=who" in line])[-1]

    made_up = [("X-Forwarded-For", "6.6.6.6, 192.0.2.7")]
    assert peer_of(start(*files.args), made_up) == "127.0.0.1"
    trusting = ("--trusted-proxies", "127.0.0.0/8,10.0.0.0/8")
    assert peer_of(start(*files.args, *trusting), made_up) == "192.0.2.7"
    chain = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.8, 10.1.2.3")]
    assert peer_of(start(*files.args, *trusting), chain) == "192.0.2.8"
    behind = [("X-Forwarded-For", "203.0.113.9:4711"), ("X-Forwarded-For", "10.0.0.5")]
    assert peer_of(start(*files.args, *trusting), behind) == "203.0.113.9"


def test_sessions_are_counted_by_the_address_that_the_proxy_names(start, files):
    server = start(*files.args, "--trusted-proxies", "127.0.0.1", "--max-sessions-per-ip", "1")
    made = token("ada")

    def opened(address):
        return Client(server.port, f"/ws/ada?format=json&token={made}",
                      {"X-Forwarded-For": address})

    with opened("192.0.2.1") as one, opened("192.0.2.2") as other, opened("192.0.2.1") as third:
        assert one.recv_json()["type"] == other.recv_json()["type"] == "welcome"
        assert third.recv_json()["code"] == "too_many_sessions_of_ip"
        third.expect_close(4429)
