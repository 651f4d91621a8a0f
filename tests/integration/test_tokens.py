"""Tokens: the ways they travel, forgeries, renewal, and that a session ends when its token does."""

import base64
import hashlib
import hmac
import json
import resource
import time

import jwt
import pytest
import websockets
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from frames import Client, text
from guarded import OTHER_SECRET, SECRET, Files, bearer, dying_token, token
from harness import run, wait_until
from streams import Events

pytestmark = pytest.mark.workers


def ask(client, **frame):
    client.send(text(json.dumps(frame)))
    return client.recv_json()


def status(server, text):
    """What a poll with this token is told."""
    return server.http.get("/poll/ada?wait=0", headers=bearer(text)).status_code


# ---- the ways ----

def test_a_browser_s_way_is_a_subprotocol(guarded):
    async def scenario():
        protocols = ["pushwire.v1.json", f"bearer.{token('ada')}"]
        async with websockets.connect(guarded.ws_url("/ws/ada"), subprotocols=protocols) as socket:
            assert socket.subprotocol == "pushwire.v1.json"
            assert json.loads(await socket.recv())["type"] == "welcome"
        protocols[0] = "pushwire.v1.text"
        async with websockets.connect(guarded.ws_url("/ws/ada"), subprotocols=protocols) as socket:
            assert socket.subprotocol == "pushwire.v1.text"

    run(scenario())


def test_the_token_alone_is_no_subprotocol(guarded):
    with Client(guarded.port, handshake=False) as client:
        from frames import request
        answer = client.ask(request("/ws/ada", {"Sec-WebSocket-Protocol": f"bearer.{token('ada')}"}))
        assert answer.status == 400
        assert b"pushwire.v1.json" in answer.body


@pytest.mark.parametrize("way", ["header", "query", "frame", "subprotocol"])
def test_a_token_travels_in_four_ways(guarded, way):
    made = token("ada", exp=int(time.time()) + 600)
    headers, query = {}, ""
    if way == "header":
        headers = bearer(made)
    elif way == "query":
        query = f"&token={made}"
    elif way == "subprotocol":
        headers = {"Sec-WebSocket-Protocol": f"pushwire.v1.json, bearer.{made}"}
    with Client(guarded.port, f"/ws/ada?format=json{query}", headers) as client:
        if way == "frame":
            client.send(text(json.dumps({"type": "auth", "token": made})))
        welcome = client.recv_json()
        assert welcome["type"] == "welcome" and welcome["user"] == "ada"
        exp = jwt.decode(made, options={"verify_signature": False})["exp"]
        assert welcome["expires_at"] == time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(exp))


def test_the_first_frame_opens_what_the_address_asked_for(guarded, files):
    sent = guarded.http.post("/send-message", headers=files.as_key("plain"), json={
        "sender": "bob", "receiver": "first", "message": "kept"}).json()
    with Client(guarded.port, "/ws/first?format=json&after=0") as client:
        assert ask(client, type="auth", token=token("first"))["type"] == "welcome"
        assert client.recv_json()["id"] == sent["id"]


# ---- forgeries ----

def part(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hs256(header, claims, secret=SECRET):
    signed = f"{part(header)}.{part(claims)}"
    made = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{part(made)}"


def claims(**more):
    return {"sub": "ada", "exp": int(time.time()) + 600, **more}


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def forgeries():
    good = hs256({"alg": "HS256"}, claims())
    header, payload, signature = good.split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    return {
        "none": f"{part({'alg': 'none'})}.{payload}.",
        "none with a signature": f"{part({'alg': 'none'})}.{payload}.{signature}",
        "None": f"{part({'alg': 'None'})}.{payload}.{signature}",
        "no alg": hs256({}, claims()),
        "alg is a list": hs256({"alg": ["HS256"]}, claims()),
        "alg in lower case": hs256({"alg": "hs256"}, claims()),
        "no signature": f"{header}.{payload}.",
        "two parts": f"{header}.{payload}",
        "four parts": f"{good}.x",
        "a flipped bit": f"{header}.{payload}.{flipped}",
        "a signature cut short": good[:-4],
        "other claims": f"{header}.{part(claims(sub='ada', exp=int(time.time()) + 700))}.{signature}",
        "another header": f"{part({'alg': 'HS256', 'x': 1})}.{payload}.{signature}",
        "another secret": hs256({"alg": "HS256"}, claims(), OTHER_SECRET),
        "an empty secret": hs256({"alg": "HS256"}, claims(), ""),
        "its own jwk": hs256({"alg": "HS256", "jwk": {"kty": "oct", "k": part(b"x" * 32)}}, claims(),
                             "x" * 32),
        "crit": hs256({"alg": "HS256", "crit": ["b64"], "b64": False}, claims()),
        "padding": good + "=",
        "a blank": good.replace(".", " .", 1),
        "the other alphabet": good.replace("-", "+").replace("_", "/") + "/",
        "HS512": jwt.encode(claims(), "s" * 40, algorithm="HS512"),
        "HS384": jwt.encode(claims(), "s" * 40, algorithm="HS384"),
        "claims are a list": hs256({"alg": "HS256"}, []),
        "claims are no JSON": hs256({"alg": "HS256"}, b"{"),
        "claims come twice": hs256({"alg": "HS256"}, b'{"sub":"ada","sub":"ada","exp":9999999999}'),
        "no exp": hs256({"alg": "HS256"}, {"sub": "ada"}),
        "exp is a text": hs256({"alg": "HS256"}, claims(exp="9999999999")),
        "exp is far": hs256({"alg": "HS256"}, claims(exp=9999999999)),
        "exp is huge": hs256({"alg": "HS256"}, b'{"sub":"ada","exp":1e400}'),
        "nbf is to come": hs256({"alg": "HS256"}, claims(nbf=int(time.time()) + 60)),
        "no sub": hs256({"alg": "HS256"}, {"exp": claims()["exp"]}),
        "sub is a number": hs256({"alg": "HS256"}, claims(sub=7)),
        "sub has a NUL": hs256({"alg": "HS256"}, claims(sub="ada\0")),
        "deep": hs256({"alg": "HS256"}, b"[" * 4000),
        "long": hs256({"alg": "HS256"}, claims(x="x" * 5500)) + "A" * 8000,
        "an unknown RS256": jwt.encode(claims(), rsa.generate_private_key(65537, 2048), "RS256"),
    }


def test_forgeries_are_refused(guarded):
    assert status(guarded, hs256({"alg": "HS256"}, claims())) == 200
    for name, made in forgeries().items():
        assert status(guarded, made) in (401, 431), name


def test_forgeries_as_first_frames_close_with_4401(guarded):
    for name, made in forgeries().items():
        with Client(guarded.port, "/ws/ada?format=json") as client:
            assert ask(client, type="auth", token=made)["code"] == "unauthorized", name
            client.expect_close(4401)


# ---- public keys ----

def b64(number, size):
    return part(number.to_bytes(size, "big"))


def rsa_jwk(key, kid):
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": kid, "use": "sig", "n": b64(numbers.n, 256), "e": "AQAB"}


def ec_jwk(key, kid):
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(numbers.x, 32), "y": b64(numbers.y, 32)}


def test_public_keys_verify_by_kid(start, tmp_path):
    one, two = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    curve = ec.generate_private_key(ec.SECP256R1())
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [rsa_jwk(one, "one"), ec_jwk(curve, "curve"),
                                         {"kty": "oct", "k": part(SECRET.encode())}]}))
    server = start("--jwks-file", jwks)

    def made(key, algorithm, kid):
        return token("ada", secret=key, algorithm=algorithm, headers={"kid": kid} if kid else None)

    assert status(server, made(one, "RS256", "one")) == 200
    assert status(server, made(one, "RS256", None)) == 200
    assert status(server, made(curve, "ES256", "curve")) == 200
    assert status(server, made(two, "RS256", "one")) == 401
    assert status(server, made(one, "RS256", "curve")) == 401
    assert status(server, made(one, "RS512", "one")) == 401
    assert status(server, made(one, "PS256", "one")) == 401
    assert status(server, token("ada")) == 401  # a symmetric key has no place in a public set
    for secret in (public_pem(one), public_pem(curve), json.dumps(rsa_jwk(one, "one"))):
        assert status(server, hs256({"alg": "HS256", "kid": "one"}, claims(), secret)) == 401


# ---- what may be configured ----

def test_issuer_and_audience_are_checked(start, files):
    server = start(*files.args, "--jwt-issuer", "https://me.example", "--jwt-audience", "push")
    me = {"iss": "https://me.example", "aud": "push"}
    assert status(server, token("ada", **me)) == 200
    assert status(server, token("ada", **{**me, "aud": ["web", "push"]})) == 200
    assert status(server, token("ada")) == 401
    assert status(server, token("ada", **{**me, "aud": "web"})) == 401
    assert status(server, token("ada", **{**me, "iss": "https://you.example"})) == 401
    made = server.http.post("/tokens", headers=files.as_key("minter"), json={"user": "ada"}).json()
    assert status(server, made["token"]) == 200


# ---- POST /tokens ----

def test_a_minted_token_says_what_was_asked(guarded, files):
    answer = guarded.http.post("/tokens", headers=files.as_key("minter"), json={
        "user": "ada", "channels": ["news", "team-*"], "publish": ["room:*"], "ttl": 120}).json()
    said = jwt.decode(answer["token"], SECRET, algorithms=["HS256"], leeway=1)  # iat has its ms
    assert said["sub"] == answer["user"] == "ada"
    assert said["channels"] == ["news", "team-*"] and said["publish"] == ["room:*"]
    assert 118 <= said["exp"] - said["iat"] <= 120
    assert answer["expires_at"] == time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(said["exp"]))
    assert status(guarded, answer["token"]) == 200


@pytest.mark.parametrize("body,field", [
    ({}, "user"), ({"user": ""}, "user"), ({"user": "a/b"}, "user"), ({"user": 7}, "user"),
    ({"user": "a", "ttl": 0}, "ttl"), ({"user": "a", "ttl": 86401}, "ttl"),
    ({"user": "a", "ttl": 1.5}, "ttl"), ({"user": "a", "ttl": "1h"}, "ttl"),
    ({"user": "a", "channels": "news"}, "channels"), ({"user": "a", "channels": [""]}, "channels"),
    ({"user": "a", "channels": ["a/b"]}, "channels"), ({"user": "a", "publish": 1}, "publish"),
    ({"user": "a", "channels": ["x"] * 1001}, "channels"),
    ({"user": "a", "channels": [f"{i:0128}" for i in range(100)]}, "channels"),
])
def test_what_no_token_can_be_is_422(guarded, files, body, field):
    answer = guarded.http.post("/tokens", headers=files.as_key("minter"), json=body)
    assert answer.status_code == 422
    assert answer.json()["field"] == field


def test_a_tenant_s_tokens_stay_with_the_tenant(guarded, files):
    answer = guarded.http.post("/tokens", headers=files.as_key("tenant"), json={
        "user": "acme:ada", "channels": ["acme:*"], "publish": True}).json()
    good = bearer(answer["token"])
    for body, got in (({"receiver": "acme:bob"}, 200), ({"receiver": "bob"}, 403),
                      ({"channel": "acme:news"}, 200), ({"channel": "news"}, 403)):
        done = guarded.http.post("/send-message", headers=good, json={**body, "message": 1})
        assert done.status_code == got, body


def test_without_a_secret_one_is_made_and_kept(start, tmp_path):
    keys = Files(tmp_path / "files")
    args = ("--keys-file", keys.keys_file, "--data-dir", tmp_path / "data")
    server = start(*args)
    made = server.http.post("/tokens", headers=keys.as_key("minter"), json={"user": "ada"}).json()
    secret = tmp_path / "data" / "token-secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert len(secret.read_text().strip()) >= 32
    server.stop()
    assert status(start(*args), made["token"]) == 200


def test_in_open_mode_a_backend_may_ask_for_tokens_as_it_will_later(server):
    answer = server.http.post("/tokens", json={"user": "ada"})
    assert answer.status_code == 200
    assert status(server, answer.json()["token"]) == status(server, "x") == 200
    assert not list((server.folder / "pushwire-data").glob("*secret*"))


# ---- before the token ----

def test_a_session_without_a_token_hears_nothing(guarded, files):
    with Client(guarded.port, "/ws/mute?format=json") as client:
        answer = guarded.http.post("/send-message", headers=files.as_key("plain"), json={
            "sender": "bob", "receiver": "mute", "message": 1})
        assert answer.json()["delivered"] == 0
        assert ask(client, type="auth", token=token("mute"))["type"] == "welcome"


@pytest.mark.parametrize("frame", ['{"type":"ping"}', '{"type":"subscribe","channel":"news"}',
                                   '{"type":"send","receiver":"a","message":1}', "{}", "[]", "7"])
def test_anything_but_auth_closes_it(guarded, frame):
    with Client(guarded.port, "/ws/ada?format=json") as client:
        client.send(text(frame))
        assert client.recv_json()["code"] == "unauthorized"
        client.expect_close(4401)


@pytest.mark.parametrize("frame,code", [
    ({}, 4401), ({"token": ""}, 4401), ({"token": 7}, 4401), ({"token": None}, 4401)])
def test_an_auth_frame_without_a_token_closes_it(guarded, frame, code):
    with Client(guarded.port, "/ws/ada?format=json") as client:
        client.send(text(json.dumps({"type": "auth", **frame})))
        client.recv_json()
        client.expect_close(code)


def test_an_expired_and_another_user_s_token_are_told_apart(guarded):
    for made, code in ((token("ada", ttl=-60), 4440), (token("eve"), 4403)):
        with Client(guarded.port, "/ws/ada?format=json") as client:
            client.send(text(json.dumps({"type": "auth", "token": made})))
            client.recv_json()
            client.expect_close(code)


def test_who_brings_no_token_in_time_is_closed(start, files):
    server = start(*files.args, "--auth-timeout", "1s")
    with Client(server.port, "/ws/ada?format=json") as client, \
            Client(server.port, "/ws/ada?format=json") as prompt:
        assert ask(prompt, type="auth", token=token("ada"))["type"] == "welcome"
        assert client.recv_json()["code"] == "unauthorized"
        client.expect_close(4401)
        prompt.alive()


def test_sessions_without_a_token_are_counted(start, files):
    server = start(*files.args, "--max-unauthenticated", "2")
    opened = [Client(server.port, "/ws/ada?format=json") for _ in range(3)]
    assert opened[2].recv_json()["code"] == "too_many_sessions"
    opened[2].expect_close(1013)
    assert ask(opened[0], type="auth", token=token("ada"))["type"] == "welcome"
    with Client(server.port, "/ws/ada?format=json") as next_one:  # the first counts no more
        assert ask(next_one, type="auth", token=token("ada"))["type"] == "welcome"
    for client in opened:
        client.socket.close()

    def room_for_two():
        pair = [Client(server.port, "/ws/ada?format=json") for _ in range(2)]
        answers = [ask(client, type="auth", token=token("ada"))["type"] for client in pair]
        for client in pair:
            client.socket.close()
        return answers == ["welcome", "welcome"]

    wait_until(room_for_two)  # those who left give their places back


# ---- renewal ----

def test_a_session_is_renewed_by_a_frame(guarded):
    with Client(guarded.port, f"/ws/ada?format=json&token={dying_token('ada', 3)}") as client:
        assert client.recv_json()["type"] == "welcome"
        renewed = ask(client, type="auth", token=token("ada"))
        assert renewed["type"] == "renewed" and renewed["expires_at"]
        with pytest.raises(TimeoutError):
            client.socket.settimeout(5)
            client.recv_data()
        client.socket.settimeout(10)
        client.alive()


def test_a_bad_renewal_changes_nothing(guarded):
    with Client(guarded.port, f"/ws/ada?format=json&token={token('ada')}") as client:
        client.recv_json()
        for made, code in (("x", "unauthorized"), (token("eve"), "forbidden"),
                           (token("ada", ttl=-60), "token_expired"), (None, "unauthorized")):
            got = ask(client, type="auth", token=made, ref="r")
            assert (got["type"], got["code"], got["ref"]) == ("error", code, "r")
        assert ask(client, type="ping")["type"] == "pong"


def test_a_narrower_token_takes_channels_away(guarded):
    made = token("ada", channels=["news", "team-*"])
    with Client(guarded.port, f"/ws/ada?format=json&channels=news,team-x&token={made}") as client:
        client.recv_json()
        got = ask(client, type="auth", token=token("ada", channels=["news"]))
        assert got == {"type": "unsubscribed", "channel": "team-x"}
        assert client.recv_json()["type"] == "renewed"
        assert ask(client, type="subscribe", channel="team-y")["code"] == "forbidden"


def test_auth_in_open_mode_is_harmless(shared):
    with Client(shared.port, "/ws/ada?format=json") as client:
        assert client.recv_json()["type"] == "welcome"
        assert ask(client, type="auth", token="whatever") == {"type": "renewed"}


# ---- the end of a token ----

def test_live_sessions_of_all_transports_end_with_their_token(guarded):
    made = dying_token("ada", channels=["*"], publish=True)
    with Client(guarded.port, f"/ws/ada?format=json&token={made}") as ws, \
            Client(guarded.port, f"/ws/ada?token={made}") as plain, \
            Client(guarded.port, f"/rooms/tea?token={made}") as room, \
            Events(guarded, "ada", f"token={made}") as sse:
        assert ws.recv_json()["type"] == "welcome"
        began = guarded.http.get("/poll/ada", params={"wait": 20, "token": made})
        assert began.status_code == 200 and began.json()["messages"] == []  # answered early
        assert ws.recv_json()["code"] == "token_expired"
        ws.expect_close(4440)
        plain.expect_close(4440)
        room.expect_close(4440)
        bye = sse.next()
        assert bye.event == "bye" and bye.json["code"] == "token_expired" and bye.retry == 60000
        assert status(guarded, made) == 401


# ---- revocation ----

def revoke(server, files, user):
    answer = server.http.post(f"/users/{user}/revoke", headers=files.as_key("manager"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_revocation_closes_sessions_and_refuses_their_tokens(start, files, tmp_path):
    args = (*files.args, "--data-dir", tmp_path / "data")
    server = start(*args)
    old, silent = token("rev", iat=time.time() - 5), token("rev")
    other = token("other", iat=time.time() - 5)
    with Client(server.port, f"/ws/rev?format=json&token={old}") as client:
        assert client.recv_json()["type"] == "welcome"
        assert revoke(server, files, "rev") == {"user": "rev", "closed": 1}
        assert client.recv_json()["code"] == "kicked"
        client.expect_close(4403)

    def polls(user, made):
        return server.http.get(f"/poll/{user}?wait=0", headers=bearer(made)).status_code

    for _ in range(2):
        assert polls("rev", old) == 401
        assert polls("rev", silent) == 401  # it does not say when it was issued
        assert polls("other", other) == 200
        fresh = server.http.post("/tokens", headers=files.as_key("minter"), json={"user": "rev"})
        assert polls("rev", fresh.json()["token"]) == 200  # at once, not a second later
        if _ == 0:
            server.kill()  # and it survives that
            server = start(*args)


def test_guests_of_a_room_go_soon_after(start, files):
    server = start(*files.args)
    made = token("guest", channels=["*"], publish=True)
    with Client(server.port, f"/rooms/tea?token={made}") as client:
        client.alive()
        revoke(server, files, "guest")
        client.socket.settimeout(20)
        client.expect_close(4403)


def test_a_guest_whose_id_could_pass_for_another_s_does_not_come_in(guarded):
    for user in ("admin]: listen", "admin: listen"):
        made = token(user, channels=["room:tea"], publish=["room:tea"])
        with Client(guarded.port, f"/rooms/tea?token={made}") as client:
            client.expect_close(4403)


def test_a_revocation_that_cannot_be_written_is_refused(start, tmp_path):
    keys = Files(tmp_path / "files")
    server = start(*keys.args)
    made = token("ada")
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    answer = server.http.post("/users/ada/revoke", headers=keys.as_key("manager"))
    assert (answer.status_code, answer.json()["code"]) == (507, "no_room")
    assert status(server, made) == 200
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
