"""Channels and broadcasts: who gets what, in which order, from when on, and what a gap says."""

import json
import random
import threading

import pytest

from frames import Client, text
from harness import run, scaled, wait_until
from streams import Events, poll, session, tell

pytestmark = pytest.mark.workers


def ask(client, **frame):
    """Sends a frame; the answer to it, which must be the next one."""
    client.send(text(json.dumps(frame)))
    return client.recv_json()


def received(server, client, user):
    """All messages up to a mark sent now to this user."""
    mark = tell(server, "the mark", receiver=user)["id"]
    got = []
    while True:
        frame = client.recv_json()
        assert frame["type"] == "message", frame
        if frame["id"] == mark:
            return got
        got.append(frame)


def bodies(got):
    return [f["message"] for f in got]


def refused(server, **fields):
    answer = server.http.post("/send-message", json={"sender": "bob", "message": 1, **fields})
    problem = answer.json()
    return answer.status_code, problem["code"], problem.get("field")


# ---- who gets it ----

def test_a_channel_reaches_its_subscribers_by_every_transport(shared, user):
    news = f"news-{user}"
    with session(shared, user, f"&channels={news}") as ws, session(shared, user) as other, \
            Client(shared.port, f"/ws/{user}?channels={news}") as plain, \
            Events(shared, user, f"channels={news}") as sse:
        since = poll(shared, user, wait=0, channels=news)["next"]
        answer = tell(shared, {"n": 1}, channel=news)
        assert answer["delivered"] == 3 and answer["kept"] is True
        assert "receivers" not in answer
        frame = ws.recv_json()
        assert frame == {"type": "message", "id": answer["id"], "sender": "bob", "message": {"n": 1},
                         "sent_at": frame["sent_at"], "channel": news}
        assert sse.message() == frame
        assert plain.recv().text == '[bob]: {"n":1}'
        (polled,) = poll(shared, user, after=since, channels=news)["messages"]
        assert {"type": "message", **polled} == frame
        assert received(shared, other, user) == []


def test_a_broadcast_reaches_everyone(start):
    server = start()
    with session(server, "ann") as ann, session(server, "ben", "&channels=x") as ben, \
            Events(server, "cal") as cal:
        answer = tell(server, "all of you", broadcast=True)
        assert answer["delivered"] == 3 and answer["kept"] is True
        for frame in ann.recv_json(), ben.recv_json(), cal.message():
            assert frame["id"] == answer["id"] and frame["message"] == "all of you"
            assert "channel" not in frame and "receiver" not in frame
    with session(server, "came-later", "&after=0") as late:
        assert late.recv_json()["id"] == answer["id"]


def test_a_message_goes_to_exactly_one_kind_of_place(shared):
    before = shared.published()
    assert refused(shared) == (422, "missing_field", "receiver")
    two = [{"receiver": "a"}, {"receivers": ["a"]}, {"channel": "a"}, {"broadcast": True}]
    for n, one in enumerate(two):
        for other in two[n + 1:]:
            status, code, field = refused(shared, **one, **other)
            assert (status, code) == (422, "bad_field") and field in {**one, **other}
    for value in False, 1, "true":
        assert refused(shared, broadcast=value) == (422, "bad_field", "broadcast")
    for name in "", "a/b", ".", "..", "a\nb", "x" * 129, 7, ["a"]:
        assert refused(shared, channel=name) == (422, "bad_field", "channel")
    assert shared.published() == before


def test_names_of_channels_are_exact(shared, user):
    with session(shared, user, "&channels=Caf%C3%A9,a%20b,%EA%B0%80,Caf%C3%A9") as client:
        for name in "Café", "café", "a b", "a", "가":
            tell(shared, name, channel=name)
        assert bodies(received(shared, client, user)) == ["Café", "a b", "가"]
    described = shared.http.get("/channels/a%20b").json()
    assert described == {"channel": "a b", "sessions": described["sessions"]}


@pytest.mark.parametrize("path", ["/ws/{}", "/sse/{}", "/poll/{}"])
def test_a_wrong_list_of_channels_is_400(shared, user, path):
    for value in ",", "a,,b", "a/b", "%00", ".", "..,a", "x" * 129, "%FF":
        answer = shared.http.get(f"{path.format(user)}?channels={value}", headers={
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} if "ws" in path else {})
        assert answer.status_code == 400, value
        assert answer.json()["code"] in ("bad_parameter", "bad_request"), answer.text


def test_a_channel_and_a_user_of_one_name_are_two(shared, user):
    with session(shared, user, f"&channels={user}") as client:
        tell(shared, "to the user", receiver=user)
        tell(shared, "to the channel", channel=user)
        one, two = client.recv_json(), client.recv_json()
        assert "channel" not in one and two["channel"] == user
    kept = shared.http.get(f"/channels/{user}/messages").json()["messages"]
    assert bodies(kept) == ["to the channel"]


def test_a_retry_to_a_channel_is_sent_once(shared, user):
    with session(shared, user, f"&channels={user}") as client:
        first = tell(shared, 1, channel=user, key=f"key-{user}")
        again = tell(shared, 1, channel=user, key=f"key-{user}")
        assert again["id"] == first["id"] and again["duplicate"] is True
        assert bodies(received(shared, client, user)) == [1]
    assert shared.http.post("/send-message", json={
        "sender": "bob", "message": 1, "receiver": user, "key": f"key-{user}"}).status_code == 409


# ---- subscribe and unsubscribe ----

def test_a_subscription_starts_now_and_ends_now(shared, user):
    with session(shared, user) as client:
        tell(shared, "before", channel=user)
        assert ask(client, type="subscribe", channel=user) == {"type": "subscribed", "channel": user}
        tell(shared, "within", channel=user)
        assert bodies(received(shared, client, user)) == ["within"]
        assert ask(client, type="unsubscribe", channel=user) == {"type": "unsubscribed",
                                                                 "channel": user}
        tell(shared, "after", channel=user)
        assert bodies(received(shared, client, user)) == []
        ask(client, type="subscribe", channel=user)
        tell(shared, "again", channel=user)
        assert bodies(received(shared, client, user)) == ["again"]


def test_a_subscription_starts_now_for_one_who_is_still_behind(start):
    server = start()
    for n in range(1500):
        tell(server, n, receiver="ann")
    for n in range(5):
        tell(server, ["old", n], channel="late")
    with session(server, "ann", "&after=0") as client:
        client.send(text('{"type":"subscribe","channel":"late"}'))
        got, answered = [], False
        while len(got) < 1501:
            frame = client.recv_json()
            if frame["type"] == "subscribed":
                answered = True
                tell(server, "new", channel="late")
            else:
                got.append(frame)
        assert answered and bodies(got) == list(range(1500)) + ["new"]


def test_subscribing_twice_is_once(shared, user):
    with session(shared, user, f"&channels={user}") as client:
        assert ask(client, type="subscribe", channel=user)["type"] == "subscribed"
        assert shared.http.get(f"/channels/{user}").json() == {"channel": user, "sessions": 1}
        tell(shared, 1, channel=user)
        assert bodies(received(shared, client, user)) == [1]
        for _ in range(2):
            assert ask(client, type="unsubscribe", channel=user)["type"] == "unsubscribed"
        assert shared.http.get(f"/channels/{user}").json()["sessions"] == 0


def test_wrong_names_are_told_by_an_error_with_the_ref(shared, user):
    with session(shared, user) as client:
        for kind in "subscribe", "unsubscribe":
            for name in "", "a/b", "..", "x" * 129, 5, {}, "a\nb":
                got = ask(client, type=kind, channel=name, ref="r1")
                assert (got["type"], got["code"], got["ref"]) == ("error", "bad_field", "r1")
            assert ask(client, type=kind)["code"] == "missing_field"
        assert ask(client, type="ping") == {"type": "pong"}


def test_a_session_has_so_many_channels(start):
    server = start("--max-channels-per-session", "3")
    with session(server, "ann", "&channels=a,b") as client:
        assert ask(client, type="subscribe", channel="c")["type"] == "subscribed"
        got = ask(client, type="subscribe", channel="d", ref="d")
        assert (got["type"], got["code"], got["ref"]) == ("error", "too_many_channels", "d")
        assert ask(client, type="subscribe", channel="a")["type"] == "subscribed"
        assert ask(client, type="unsubscribe", channel="b")["type"] == "unsubscribed"
        assert ask(client, type="subscribe", channel="d")["type"] == "subscribed"
        tell(server, 1, channel="b")
        tell(server, 2, channel="d")
        assert bodies(received(server, client, "ann")) == [2]
    for path in "/sse/ann", "/poll/ann":
        answer = server.http.get(f"{path}?channels=a,b,c,d")
        assert answer.json()["code"] == "too_many_channels" and answer.status_code >= 400
    assert server.http.get("/poll/ann?channels=a,b,c&wait=0").status_code == 200


def test_the_server_has_so_many_channels(start):
    server = start("--workers", "1", "--max-channels", "2")
    with session(server, "ann", "&channels=a,b") as ann, session(server, "ben", "&channels=a") as ben:
        assert ask(ann, type="subscribe", channel="c")["code"] == "too_many_channels"
        assert ask(ben, type="subscribe", channel="b")["type"] == "subscribed"
        assert ask(ann, type="ping") == {"type": "pong"}
        assert server.http.get("/channels/c").json()["sessions"] == 0


def test_who_left_is_no_subscriber(shared, user):
    with session(shared, user, f"&channels={user}"), Events(shared, user, f"channels={user}"):
        assert shared.http.get(f"/channels/{user}").json() == {"channel": user, "sessions": 2}
    wait_until(lambda: shared.http.get(f"/channels/{user}").json()["sessions"] == 0)
    assert tell(shared, 1, channel=user)["delivered"] == 0


# ---- one order ----

def test_mail_channels_and_broadcasts_are_one_rising_order(start):
    server = start()
    places = [{"receiver": "ann"}, {"channel": "a"}, {"channel": "b"}, {"broadcast": True}]
    dice = random.Random(4)
    with session(server, "ann", "&channels=a,b") as live:
        start_cursor = live.welcome["cursor"]
        ids = [tell(server, n, **dice.choice(places))["id"] for n in range(300)]
        tell(server, "not hers", channel="c")
        tell(server, "not hers", receiver="ben")
        assert ids == sorted(ids)
        assert [f["id"] for f in received(server, live, "ann")] == ids
    for cursor in (start_cursor, "0", *dice.sample(ids, 4)):
        expected = [n for n in range(300) if ids[n] > cursor]
        with session(server, "ann", f"&channels=b,a&after={cursor}") as again:
            got = received(server, again, "ann")
            assert [f["message"] for f in got if f["message"] != "the mark"] == expected
    with session(server, "ann", "&channels=a&after=0") as part:
        got = received(server, part, "ann")
        assert all(f.get("channel") in (None, "a") for f in got)
        ids_of_part = [f["id"] for f in got]
        assert ids_of_part == sorted(set(ids_of_part)) and 100 < len(ids_of_part) < 300


def test_exactly_once_over_reconnects_while_everybody_publishes(start):
    server = start("--workers", "2")
    count, publishers = scaled(200, least=100), 3
    places = [{"receiver": "gil"}, {"channel": "a"}, {"channel": "b"}, {"broadcast": True}]

    async def publish(http, name):
        for n in range(count):
            answer = await http.post("/send-message", json={
                "sender": name, "message": n, **places[n % 4]})
            assert answer.status_code == 200

    async def receive(seed):
        dice, cursor, got, connections = random.Random(seed), "0", [], 0
        while len(got) < count * publishers:
            connections += 1
            path = f"/ws/gil?channels=a,b&after={cursor}"
            async with server.ws(path, form="json", close_timeout=0.1) as socket:
                for _ in range(dice.randrange(1, count // 4)):
                    frame = json.loads(await socket.recv())
                    if frame["type"] == "message":
                        assert frame["id"] > cursor
                        cursor = frame["id"]
                        got.append((frame["sender"], frame["message"]))
                    if len(got) == count * publishers:
                        break
                socket.transport.abort()
        for name in "xyz":  # each publisher's own order
            assert [n for sender, n in got if sender == name] == list(range(count))
        return connections

    async def go():
        import asyncio

        import httpx
        async with httpx.AsyncClient(base_url=server.url, timeout=20, trust_env=False) as http:
            done = await asyncio.gather(*(receive(n) for n in range(4)),
                                        *(publish(http, name) for name in "xyz"))
        assert min(done[:4]) > 5
    run(go())
    assert server.metric("gaps_total") == 0


def test_one_channel_under_many_that_come_and_go(start):
    """Subscribing and leaving beside a session that stays disturbs it in nothing."""
    server = start("--workers", "2")
    ended, failures = threading.Event(), []

    def come_and_go(n):
        try:
            while not ended.is_set():
                with session(server, f"guest-{n}") as client:
                    assert ask(client, type="subscribe", channel="busy")["type"] == "subscribed"
        except BaseException as failure:
            failures.append(failure)

    guests = [threading.Thread(target=come_and_go, args=(n,)) for n in range(3)]
    with session(server, "stays", "&channels=busy") as client:
        for guest in guests:
            guest.start()
        try:
            sent = [tell(server, n, channel="busy")["id"] for n in range(scaled(400, least=100))]
            assert [client.recv_json()["id"] for _ in sent] == sent
        finally:
            ended.set()
            for guest in guests:
                guest.join()
    assert not failures, failures
    wait_until(lambda: server.http.get("/channels/busy").json()["sessions"] == 0)


# ---- what is kept ----

def test_messages_of_a_channel_are_read_by_pages(shared, user):
    ids = [tell(shared, n, channel=user)["id"] for n in range(25)]
    page = shared.http.get(f"/channels/{user}/messages?after={ids[4]}&limit=10").json()
    assert [m["id"] for m in page["messages"]] == ids[5:15]
    assert page["more"] is True and page["next"] == ids[14] and page["gap"] is None
    page = shared.http.get(f"/channels/{user}/messages?after={page['next']}").json()
    assert [m["id"] for m in page["messages"]] == ids[15:] and page["more"] is False
    page = shared.http.get(f"/channels/{user}/messages?limit=5").json()
    assert [m["id"] for m in page["messages"]] == ids[:-6:-1]
    assert all(m["channel"] == user and m["sender"] == "bob" for m in page["messages"])
    assert shared.http.get("/channels/nobody-s/messages").json()["messages"] == []
    for query in "after=x", "limit=0", "limit=1001", "after=1&before=2":
        assert shared.http.get(f"/channels/{user}/messages?{query}").status_code == 400


def test_own_mail_is_without_channels_and_broadcasts(start):
    server = start()
    tell(server, "mail", receiver="ann")
    tell(server, "channel", channel="ann")
    tell(server, "broadcast", broadcast=True)
    assert bodies(server.http.get("/users/ann/messages").json()["messages"]) == ["mail"]
    assert server.http.delete("/users/ann/messages").status_code in (200, 204)
    with session(server, "ann", "&channels=ann&after=0") as client:
        assert [client.recv_json()["message"] for _ in range(2)] == ["channel", "broadcast"]


def test_ttl_0_to_a_channel_is_for_who_is_there(shared, user):
    with session(shared, user, f"&channels={user}") as client:
        answer = tell(shared, "now", channel=user, ttl=0)
        assert answer["delivered"] == 1 and answer["kept"] is False
        assert client.recv_json()["message"] == "now"
    assert shared.http.get(f"/channels/{user}/messages").json()["messages"] == []


# ---- gaps ----

def test_a_gap_of_one_channel_names_it(start):
    server = start("--broker", "memory", "--keep-messages", "10")
    first = tell(server, "first", receiver="ann")["id"]
    tell(server, "still here", receiver="ann")
    tell(server, "still here", channel="calm")
    ids = [tell(server, n, channel="busy")["id"] for n in range(40)]
    kept = len(server.http.get("/channels/busy/messages?after=0").json()["messages"])
    with session(server, "ann", f"&channels=calm,busy&after={first}") as client:
        gap = client.recv_json()
        assert gap == {"type": "gap", "after": first, "resumes": gap["resumes"], "channel": "busy"}
        assert gap["resumes"] < ids[-kept]
        got = received(server, client, "ann")
        assert bodies(got) == ["still here", "still here", *range(40 - kept, 40)]
    with Events(server, "ann", f"channels=calm,busy&after={first}") as sse:
        event = sse.next()
        assert event.event == "gap" and event.json == gap and event.id is None
        assert sse.messages(2 + kept)[2:] == list(range(40 - kept, 40))
    page = poll(server, "ann", after=first, channels="calm,busy")
    assert page["gap"] == {"after": first, "resumes": gap["resumes"]}
    with Client(server.port, f"/ws/ann?channels=busy&after={first}") as plain:
        plain.expect_close(4410)
    for query in f"&channels=calm&after={first}", "&channels=busy&after=0":
        with session(server, "ann", query) as client:
            received(server, client, "ann")
    page = server.http.get(f"/channels/busy/messages?after={first}").json()
    assert page["gap"] == {"after": first, "resumes": gap["resumes"]}


def test_a_gap_of_the_mail_names_no_channel(start):
    server = start("--broker", "memory", "--keep-messages", "10")
    first = tell(server, "first", receiver="ann")["id"]
    for n in range(40):
        tell(server, n, receiver="ann")
        tell(server, n, channel="busy")
    with session(server, "ann", f"&channels=busy&after={first}") as client:
        gap = client.recv_json()
        assert gap["type"] == "gap" and "channel" not in gap
        received(server, client, "ann")  # which holds no second one
    assert server.metric("gaps_total") == 1


def test_a_gap_above_the_head_names_no_channel(start):
    server = start()
    tell(server, 1, channel="a")
    with session(server, "ann", "&channels=a&after=9223372036854775807") as client:
        gap = client.recv_json()
        assert gap["type"] == "gap" and "channel" not in gap
        assert received(server, client, "ann") == []


# ---- text sessions ----

def test_text_sessions_have_channels_too(shared, user):
    with Client(shared.port, f"/ws/{user}?channels={user}") as client:
        first = tell(shared, "one", channel=user)["id"]
        tell(shared, "two", receiver=user)
        assert [client.recv().text for _ in range(2)] == ["[bob]: one", "[bob]: two"]
        client.send(text('{"type":"unsubscribe","channel":"%s"}' % user))  # read and ignored
        assert client.alive()
        tell(shared, "three", channel=user)
        assert client.recv().text == "[bob]: three"
    with Client(shared.port, f"/ws/{user}?channels={user}&after={first}") as client:
        assert [client.recv().text for _ in range(2)] == ["[bob]: two", "[bob]: three"]
