"""The page at /, frontend/app, as people use it: in Chromium, by Playwright."""

import json
import re
import shutil
import subprocess

import pytest

from chromium import open_chromium
from guarded import Files, draw, key_line, token
from harness import DEADLINE, wait_until
from streams import tell

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")

VIEWS = ("chat", "inbox", "rooms", "live")
ME, TO, MESSAGE = ('role=textbox[name="%s"]' % name for name in ("My id", "To", "Message"))
SEND = 'role=button[name="Send"]'


@pytest.fixture(scope="module")
def chromium():
    made = open_chromium()
    yield made
    made.close()


@pytest.fixture
def visit(chromium):
    """visit(server, user, view, …): a page that must not complain, but of what `excused` matches."""
    pages = []

    def open_page(server, user="alice", view="chat", excused=None, **options):
        page = chromium.open(f"{server.url}/?user={user}#{view}", **{"locale": "en-US", **options})
        pages.append((page, excused, f"{server.host}:{server.port}"))
        return page

    yield open_page
    for page, excused, host in pages:
        found = [c for c in page.complaints() if not (excused and re.search(excused, c))]
        assert found == []
        assert page.do("hosts") == [host]
        page.close()


# Chromium itself reports attempts while nobody listens.
AWAY = "WebSocket connection to|ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED|503"


def online(page):
    page.shows("main [data-state=online]")


def say(page, text, to=None):
    if to:
        page.fill(TO, to)
    page.fill(MESSAGE, text)
    page.click(SEND)


def said(page):
    return page.texts(".said:not(.pending) .text")


def shows_said(page, *texts):
    wait_until(lambda: said(page) == list(texts), what=texts)


def test_two_people_chat(start, visit):
    server = start()
    alice, bob = visit(server, "alice"), visit(server, "bob")
    online(alice)
    online(bob)
    assert alice.run("document.querySelector('.compose input').value") == "bob"
    say(alice, "Hi <b>Bob</b>")
    shows_said(bob, "Hi <b>Bob</b>")
    alice.shows("text=delivered to 1 session")
    say(bob, "안녕", to="alice")
    shows_said(alice, "Hi <b>Bob</b>", "안녕")
    assert alice.texts(".said .who b") == ["You to \u2068bob\u2069", "bob"]
    say(alice, "for Carol", to="carol")
    alice.shows("text=kept until")
    assert server.published() == 3


def test_what_curl_sends_is_shown_and_what_the_page_sent_is_a_command(start, visit):
    server = start()
    server.send("alice", {"title": "Kept", "body": "before anybody came"})
    page = visit(server)
    page.shows(".said >> text=before anybody came")
    online(page)
    say(page, "it's \"quoted\" & `all`", to="alice")
    page.until("document.querySelectorAll('.said').length === 2")
    page.click("summary")
    command = page.text("pre")
    done = subprocess.run(["sh", "-c", command.replace("curl ", "curl -sS ", 1)], text=True,
                          capture_output=True, timeout=DEADLINE)
    assert json.loads(done.stdout)["delivered"] == 1, done
    shows_said(page, "Kept\n\nbefore anybody came", *["it's \"quoted\" & `all`"] * 2)


def test_one_connects_as_somebody_else_and_not_at_all(start, visit):
    server = start()
    page = visit(server)
    online(page)
    page.click('role=button[name="Disconnect"]')
    page.shows("[data-state=offline]")
    page.shows("[data-note=left]")
    wait_until(lambda: server.metric("sessions") == 0)
    page.click('role=button[name="Connect"]')
    online(page)
    page.click('role=button[name="Change"]')
    page.fill(ME, "a/b")
    page.shows("text=An id has 1 to 128 bytes")
    assert page.do("isDisabled", at='role=button[name="Connect"]')
    page.fill(ME, "dora")
    page.shows("text=Until you press Connect, you are")  # and is: the form below sends as before
    page.press("Enter")
    online(page)
    assert page.run("location.search") == "?user=dora"
    tell(server, "for Dora", receiver="dora")
    shows_said(page, "for Dora")
    page.do("reload")
    shows_said(page, "for Dora")
    assert "for Dora" not in page.run("JSON.stringify(localStorage)")


@pytest.mark.parametrize("broker", ["sqlite", "memory"])
def test_a_server_that_comes_back_in_mid_conversation(start, visit, tmp_path, broker):
    options = ("--broker", broker, "--data-dir", tmp_path / "data", "--retry-spread", "200ms")
    server = start(*options)
    alice, bob = (visit(server, user, excused=AWAY) for user in ("alice", "bob"))
    online(alice)
    online(bob)
    say(bob, "one", to="alice")
    shows_said(alice, "one")
    server.stop()
    alice.shows("[data-note=lost]")
    say(alice, "from below", to="bob")
    alice.shows(".said.pending")
    alice.do("offline", True)  # so that it is not back before what comes meanwhile
    again = start(*options, listen=server.address)
    tell(again, "while away", receiver="alice", sender="curl")
    alice.do("offline", False)
    online(alice)
    alice.hides(".said.pending")
    shows_said(bob, "one", "from below")
    say(bob, "two", to="alice")
    alice.shows(".said >> text=two")
    assert alice.texts(".said:not(.mine) .text") == ["one", "while away", "two"]
    assert alice.texts(".said.mine .text") == ["from below"]
    gaps = alice.texts("[data-note=gap]")
    assert len(gaps) == (broker == "memory")  # which ended with the first server
    back = alice.text("[data-note=back]")
    assert ("1 message sent meanwhile" in back) == (broker != "memory"), back
    assert "The server is stopping" in alice.text("[data-note=lost]")


def test_the_inbox(start, visit):
    server = start()
    page = visit(server, view="inbox", excused=AWAY)
    page.shows("text=You are all caught up")
    page.click('nav a[href="#rooms"]')
    for n in range(1, 4):
        tell(server, {"title": f"Note {n}", "url": "javascript:alert(1)"}, receiver="alice")
    page.shows(".toast >> text=Note 3")
    page.until("document.querySelector('.badge').innerText === '3'")
    page.click(".toast a")
    assert page.texts(".item .title") == ["Note 3", "Note 2", "Note 1"]
    assert page.texts(".item a") == [] and page.texts(".toast") == []
    page.click(".item >> nth=1 >> button")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.run(focused) == "Mark as read: bob, Note 1"  # the next one, not nothing
    page.until("document.title.startsWith('(2)')")
    page.do("reload")
    page.until("document.querySelectorAll('.item.unread').length === 2")
    assert page.texts(".item.unread .title") == ["Note 3", "Note 1"]
    page.click('role=button[name="Mark all as read"]')
    page.hides(".badge")
    assert page.run("document.activeElement.tagName") == "H2"
    page.do("offline", True)
    page.shows(".banner >> text=Not connected")
    tell(server, "meanwhile", receiver="alice")
    page.do("offline", False)
    page.shows(".item.unread >> text=meanwhile")
    page.hides(".banner")
    page.shows("main [role=status] >> text=New from")  # is said aloud


def test_rooms(start, visit):
    server = start()
    alice, bob = (visit(server, user, "rooms", excused=AWAY) for user in ("alice", "bob"))
    for page in alice, bob:
        page.click('role=button[name="Enter"]')
        page.shows("text=You entered")
        page.until("document.activeElement.closest('.compose')")  # ready to speak
    assert bob.run("location.hash") == "#rooms/tea"
    alice.shows("text=2 here")
    alice.fill('role=textbox[name="Say something"]', "tea: is it ready?")
    alice.press("Enter")
    shows_said(bob, "tea: is it ready?")
    shows_said(alice, "tea: is it ready?")  # its own, once
    assert bob.texts(".said b") == ["alice"]
    tell(server, "from the backend", channel="room:tea", ttl=0, sender="kitchen")
    shows_said(bob, "tea: is it ready?", "from the backend")
    bob.click('nav a[href="#chat"]')  # and stays in the room
    alice.fill('role=textbox[name="Say something"]', "still there?")
    alice.press("Enter")
    bob.click('nav a[href="#rooms"]')
    bob.shows("text=still there?")
    server.stop()
    bob.shows("text=coming back")
    again = start(listen=server.address)
    bob.shows("text=What was said meanwhile")
    bob.fill('role=textbox[name="Say something"]', "/exit")
    bob.press("Enter")
    bob.shows("text=You left")
    wait_until(lambda: again.http.get("/channels/room:tea").json()["sessions"] == 1)
    for page in alice, bob:
        if page is alice:
            page.click('role=button[name="Leave"]')
        page.click('role=radio[name="Lobby"]')
        page.click('role=button[name="Enter"]')
        page.shows("text=You entered")
    alice.fill('role=textbox[name="Say something"]', "hello all")
    alice.press("Enter")
    shows_said(alice, "hello all")
    shows_said(bob, "hello all")
    alice.run("(socket => socket.onopen = () => socket.send('alice: no, I am'))"
              "(new WebSocket(`ws://${location.host}/ws`)); 0")
    shows_said(alice, "hello all", "no, I am")
    assert alice.texts(".said.mine .text") == ["hello all"]
    assert "somebody else of this name" in alice.text(".said:not(.mine) .who")
    alice.do("reload")
    alice.shows("text=You entered")  # and is where it was


def test_live_moves(start, visit):
    server = start()
    page = visit(server, view="live", excused=AWAY)
    page.shows(".health [data-state=online]")
    page.shows(".chip >> text=alice")
    assert "0.1.0" in page.text(".health")
    charts = page.texts(".chart h3")
    assert charts == ["Sessions", "Messages a second", "Deliveries a second", "Time to publish",
                      "Time to commit", "Kept messages"]

    def lines():
        return page.run("""[...document.querySelectorAll('.chart')].map(
            chart => [...chart.querySelectorAll('.line')].map(line => line.getAttribute('d')))""")

    before = lines()
    page.fill(MESSAGE, "a test")
    page.click(SEND)
    page.shows("text=Delivered to 1 session, as")
    page.until("""[...document.querySelectorAll('.chart')].slice(1, 4).every(
        chart => chart.querySelector('.now b').innerText.match(/[1-9]/))""")
    assert all(a != b for a, b in zip(before[:4], lines()[:4]))
    page.click('role=radio[name="Everyone"]')
    page.click(SEND)
    page.click('dialog >> role=button[name="Cancel"]')
    page.hides("dialog")
    assert server.published() == 1
    page.click(SEND)
    page.click('dialog >> role=button[name="Send to everyone"]')
    page.until("document.querySelector('pre').innerText.includes('\"broadcast\":true')")
    wait_until(lambda: server.published() == 2)
    command = page.text("pre")
    subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=DEADLINE)
    assert server.published() == 3
    server.stop()
    page.shows(".health [data-state=stopped] >> text=The server cannot be reached.")
    start(listen=server.address)
    page.shows(".health [data-state=online]")


def test_where_credentials_are_asked_for_the_page_asks_for_them(start, visit, tmp_path):
    files = Files(tmp_path / "files")
    key = draw("op")
    files.write_keys(key_line("op", key, scope="send,read,manage"))
    server = start(*files.args)
    page = visit(server, excused="401|403")
    use = 'role=button[name="Use it"]'
    page.shows("text=This server asks for a token")
    for wrong in "no token", token("alice", secret="x" * 40):
        page.fill("input[type=password]", wrong)
        page.click(use)
        page.shows(".credential .bad")
        page.do("reload")
        page.shows(".credential")
    page.fill("input[type=password]", token("bob"))
    page.click(use)  # whose it is, is who one is
    online(page)
    page.shows("text=This token is one of")
    page.do("reload")
    page.shows(".credential")
    mine = token("alice", publish=True, channels=["room:*", "lobby"])
    page.fill("input[type=password]", mine)
    page.click(use)
    online(page)
    page.hides(".credential")
    say(page, "with a token", to="alice")
    shows_said(page, "with a token")
    page.click("summary")
    assert '-H "Authorization: Bearer $KEY"' in page.text("pre")
    page.click('nav a[href="#rooms"]')
    page.click('role=button[name="Enter"]')
    page.shows("text=You entered")
    page.click('nav a[href="#live"]')
    page.shows("text=This server asks for a key")
    page.fill("input[type=password]", key)
    page.click(use)
    page.shows(".chip >> text=alice")
    page.hides(".credential")
    page.fill(MESSAGE, "from the operator")
    page.click(SEND)
    page.shows("text=Delivered to 1 session, as")
    kept = page.run("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")
    assert mine not in kept and key not in kept
    page.do("reload")
    page.shows("text=This server asks for a key")


def theme(page):
    return page.run("getComputedStyle(document.documentElement).colorScheme")


def lang(page):
    return page.run("document.documentElement.lang")


def test_language_and_theme_follow_the_browser_until_chosen(start, visit):
    server = start()
    page = visit(server, locale="ko-KR", colorScheme="dark")
    assert (lang(page), theme(page)) == ("ko", "dark")
    page.shows("text=받는 사람")
    page.do("media", {"colorScheme": "light"})
    page.until("getComputedStyle(document.documentElement).colorScheme === 'light'")
    page.click('role=button[name="English"]')
    page.click('role=button[name="Dark theme"]')
    page.shows("text=Disconnect")
    page.do("reload")
    assert (lang(page), theme(page)) == ("en", "dark")
    other = visit(server, locale="fr-FR")
    assert (lang(other), theme(other)) == ("en", "light")


def test_a_problem_is_told_in_the_reader_s_language(start, visit):
    server = start("--max-message", "1KiB")
    page = visit(server, locale="ko-KR", excused="413")
    online(page)
    page.fill(".what textarea", "x" * 1025)
    page.click(".compose button.main")
    page.shows("text=메시지가 너무 큽니다.")
    assert page.run("document.querySelector('.what textarea').value.length") == 1025  # not lost


@pytest.mark.parametrize("language, scheme", [("en-US", "light"), ("ko-KR", "dark")])
def test_axe_finds_nothing(start, visit, language, scheme):
    server = start()
    tell(server, {"title": "Title", "body": "Body", "url": "https://example.com/"}, receiver="alice")
    tell(server, [1, 2], receiver="alice")
    # What moves is not yet what it will be; reduced motion also has to leave all readable.
    page = visit(server, locale=language, colorScheme=scheme, reducedMotion="reduce")
    for view in VIEWS:
        page.run(f"location.hash = '{view}'")
        page.shows(f"main.{view}")
        if view == "chat":
            page.fill(".what textarea", "mine")
            page.click(".compose button.main")
            page.until("document.querySelectorAll('.said').length === 3")
            page.click("summary")
        if view == "rooms":
            page.click("input[type=radio] >> nth=0")
        if view == "live":
            page.shows(".plot >> nth=0")
            page.shows(".chip")
        assert page.do("axe") == [], view
        assert page.run("document.getAnimations().length") == 0


def test_by_keyboard_alone(start, visit):
    server = start()
    page = visit(server)
    online(page)
    page.press("Tab")
    assert page.run("document.activeElement.innerText") == "To the content"
    page.press("Enter")
    assert page.run("document.activeElement.id") == "main"
    page.press(*["Tab"] * 6)  # all conversations, three buttons of mine, the log, to
    page.do("type", "alice")  # over what was selected
    page.press("Tab")
    page.do("type", "by keys")
    page.press("Enter")
    shows_said(page, "by keys")
    assert page.run("document.activeElement.value") == ""  # ready for the next
    page.do("focus", at='nav a[href="#inbox"]')
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Enter")
    page.shows("main.inbox")
    assert page.texts(".item.unread") == []  # it was read where it came
    tell(server, "another", receiver="alice")
    page.shows(".item.unread")
    page.do("focus", at=".item button")
    page.press("Space")
    page.hides(".item.unread")
    assert page.run("document.activeElement.className") == "item"


@pytest.mark.parametrize("language", ["en-US", "ko-KR"])
def test_a_narrow_phone(start, visit, language):
    server = start()
    tell(server, {"title": "T" * 200, "body": "w" * 300}, receiver="alice", sender="s" * 128)
    page = visit(server, locale=language, viewport={"width": 320, "height": 640}, hasTouch=True)
    online(page)
    for view in VIEWS:
        page.click(f'header nav a[href="#{view}"]')
        page.shows(f"main.{view}")
        if view == "live":
            page.shows(".chip")
            page.shows(".plot >> nth=0")
        assert page.run("document.documentElement.scrollWidth") == 320, view
        wide = page.run("""[...document.querySelectorAll('main *, header *')]
            .filter(one => one.getBoundingClientRect().right > 320 &&
                !one.closest('pre, .hidden, .people'))
            .map(one => one.outerHTML.slice(0, 80))""")
        assert wide == [], view


def test_lists_stay_where_they_are_read(start, visit):
    server = start()
    for n in range(40):
        tell(server, f"line {n}", receiver="alice")
    page = visit(server)
    online(page)
    page.until("document.querySelectorAll('.said').length === 40")
    page.until("(log => log.scrollHeight - log.scrollTop - log.clientHeight < 2)"
               "(document.querySelector('.log'))")
    page.click("summary")  # which takes room from it
    page.until("(log => log.scrollHeight - log.scrollTop - log.clientHeight < 2)"
               "(document.querySelector('.log'))")
    page.run("document.querySelector('.log').scrollTop = 0")
    # So that it hears of that before the next message.
    page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    tell(server, "the newest", receiver="alice")
    page.shows("text=1 new message")
    assert page.run("document.querySelector('.log').scrollTop") == 0
    page.click("text=1 new message")
    page.until("(log => log.scrollHeight - log.scrollTop - log.clientHeight < 2)"
               "(document.querySelector('.log'))")
    page.hides("text=1 new message")


def test_who_comes_first_is_asked_who_they_are(start, chromium):
    server = start()
    page = chromium.open(server.url, locale="en-US")
    page.shows("text=Who are you?")
    assert re.fullmatch(r"[a-z]+-[a-z]+", page.run("document.activeElement.value"))
    assert server.metric("sessions") == 0
    page.do("type", "nina")
    page.press("Enter")
    online(page)
    page.click('role=button[name="Invite"]')
    page.fill('role=textbox[name="Their id"]', "otto")
    link = page.text("#invitation")
    assert link == f"{server.url}/?user=otto#chat/nina"
    page.shows(".qr")
    page.click('dialog >> role=button[name="Close"]')
    other = chromium.open(link, locale="en-US")
    online(other)
    other.fill(".what textarea", "hello nina")
    other.press("Enter")
    page.shows(".people >> text=otto")
    page.click(".people >> text=otto")
    shows_said(page, "hello nina")
    page.fill(".what textarea", "hello otto\nand good day")
    page.press("Enter")
    shows_said(other, "hello nina", "hello otto\nand good day")
    assert other.texts(".said.mine .tick") == ["✓✓"]
    for one in page, other:
        assert one.complaints() == []
        one.close()


def test_a_link_with_a_token_says_who_one_is(start, chromium, tmp_path):
    server = start(*Files(tmp_path / "files").args)
    mine = token("김철수", publish=True)
    page = chromium.open(f"{server.url}/#token={mine}", locale="en-US")
    online(page)
    page.shows(".me >> text=김철수")
    assert mine not in page.run("location.href")
    page.do("reload")
    online(page)
    page.close()


def test_what_one_sent_is_there_after_a_reload_and_in_all_tabs(start, visit):
    server = start()
    page = visit(server)
    online(page)
    say(page, "mine", to="bob")
    shows_said(page, "mine")
    beside = visit(server, beside=page)
    shows_said(beside, "mine")
    say(beside, "from there", to="bob")
    shows_said(page, "mine", "from there")
    page.do("reload")
    shows_said(page, "mine", "from there")


def test_a_draft_outlives_a_look_elsewhere_and_blanks_are_no_message(start, visit):
    server = start()
    page = visit(server)
    online(page)
    page.fill(MESSAGE, "half a sen")
    page.click('nav a[href="#inbox"]')
    page.shows("main.inbox")
    page.click('nav a[href="#chat"]')
    page.until("document.querySelector('.what textarea').value === 'half a sen'")
    say(page, "   ", to="bob")
    page.shows("text=Write a message first.")
    assert server.published() == 0


def test_older_messages_come_when_one_scrolls_up(start, visit):
    server = start()
    for n in range(120):
        tell(server, f"line {n}", receiver="alice")
    page = visit(server)
    online(page)
    page.until("document.querySelectorAll('.said').length === 50")
    # What is out of sight has no innerText.
    assert page.run("document.querySelector('.said .text').textContent") == "line 70"
    page.do("focus", at=".log")
    page.press("Home")
    page.until("document.querySelectorAll('.said').length > 50")
    assert page.run("document.querySelector('.log').scrollTop") > 100  # what one read is there yet
    page.click('nav a[href="#inbox"]')
    page.shows("main.inbox")
    assert "+" not in page.run("document.title")  # all that was shown is read


def test_a_fresh_device_loads_a_page_and_counts_what_it_does_not_know(start, visit):
    server = start()
    for n in range(120):
        tell(server, n, receiver="alice")
    page = visit(server, view="inbox")
    page.until("document.title.startsWith('(50+)')")
    assert len(page.texts(".item")) == 50
    assert server.metric("replayed_total") == 0


def test_names_that_deceive_are_shown_as_what_they_are(start, visit):
    server = start()
    page = visit(server)
    online(page)
    tell(server, "sign this", receiver="alice", sender="\u202erotcerid")
    page.shows(".said >> text=‹U+202E›rotcerid")
    assert "‹U+202E›" in page.text(".people")


def test_what_is_long_is_folded_and_links_are_links(start, visit):
    server = start()
    page = visit(server, view="inbox")
    page.shows("text=You are all caught up")
    tell(server, "see https://example.com/a?b=c. " + "x" * 50_000, receiver="alice")
    page.shows(".item a[href='https://example.com/a?b=c']")
    assert page.run("document.querySelector('.item').offsetHeight") < 1500
    page.click(".fold")
    page.until("document.querySelector('.item .text').innerText.length > 50000")
    tell(server, {"title": "T", "url": "https://evil.example/x"}, receiver="alice")
    page.shows(".item >> text=evil.example")
    tell(server, {"a": 1}, receiver="alice")
    page.until("document.querySelector('.json').innerText.includes('\\n')")


def test_a_full_server_is_told_as_such(start, visit):
    server = start("--max-sessions", "1")
    other = visit(server, "somebody")
    online(other)
    page = visit(server, excused="503|WebSocket")
    page.shows("text=The server is full.")
    page.shows('role=button[name="Try now"]')
    assert page.texts("[data-note=back]") == []
    page.click('nav a[href="#inbox"]')
    assert page.texts("text=You are all caught up") == []
    other.click('role=button[name="Disconnect"]')
    page.click('nav a[href="#chat"]')
    online(page)


def test_live_says_nothing_false(start, visit):
    server = start("--broker", "memory")
    page = visit(server, view="live")
    page.shows("text=commits nothing")
    assert "Disk free" not in page.text(".health")


def test_live_asks_no_more_without_a_key(start, visit, tmp_path):
    server = start(*Files(tmp_path / "files").args)
    page = visit(server, view="live", excused="401")
    page.shows("text=This server asks for a key")
    page.run("new Promise(done => setTimeout(done, 2500))")
    refused = page.run("performance.getEntriesByType('resource').filter("
                       "one => one.name.endsWith('/metrics')).length")
    assert refused <= 2


def test_a_toast_covers_nothing_and_waits_for_who_reads_it(start, visit):
    server = start()
    page = visit(server, view="rooms", viewport={"width": 360, "height": 640})
    page.shows(".door")
    wait_until(lambda: server.metric("sessions") == 1)  # what is older is no news
    tell(server, "news", receiver="alice")
    page.shows(".toast")
    assert page.run("""[...document.querySelectorAll('main *, nav *')].every(one => {
        const a = one.getBoundingClientRect();
        const b = document.querySelector('.toast').getBoundingClientRect();
        return a.top >= b.bottom || a.bottom <= b.top || a.width === 0; })""")
    page.press("Escape")
    page.hides(".toast")
