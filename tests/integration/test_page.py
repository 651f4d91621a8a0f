"""The page at /, and the endpoints for those who look after the server."""

import base64
import hashlib
import re
import shutil


def test_the_page_is_html_and_self_contained(shared):
    answer = shared.http.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    # No address outside of this server; names of XML's are none, and React's errors name theirs.
    text = re.sub(r"http://www\.w3\.org/\w+/\w+|https://react\.dev/errors/", "", answer.text)
    assert not re.search(r"https?://\w", text)
    assert not re.search(r"[\"'(=]//\w", text)
    assert not re.search(r"<(?:link|img|iframe)\b[^>]*\b(?:href|src)=[\"'](?!data:)", answer.text)
    assert not re.search(r"<script\b[^>]*\bsrc=", answer.text)


def test_the_policy_lets_the_page_s_own_script_run_and_nothing_else(shared):
    answer = shared.http.get("/")
    policy = answer.headers["content-security-policy"]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";") if rule.strip()}
    assert rules["default-src"] == ["'none'"]
    assert "'unsafe-inline'" not in policy and "'unsafe-eval'" not in policy
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        for text in re.findall(f"<{tag}[^>]*>(.*?)</{tag}>", answer.text, re.S):
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in rules[rule]
    assert not re.search(r"<[^>]+\son[a-z]+=", answer.text), "handlers in tags would not run"
    assert not re.search(r"<[^>]+\sstyle=", answer.text), "styles in tags would not apply"


def test_the_page_is_asked_for_again_only_when_it_has_changed(shared):
    first = shared.http.get("/")
    tag = first.headers["etag"]
    assert re.fullmatch(r'"[^"]+"', tag)
    for known in (tag, f'"x", {tag}', f"W/{tag}"):
        again = shared.http.get("/", headers={"If-None-Match": known})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == tag
    assert shared.http.get("/", headers={"If-None-Match": '"other"'}).status_code == 200
    assert "no-cache" in first.headers["cache-control"]


def test_files_go_gzipped_to_who_takes_them_so(shared):
    plain = shared.http.get("/", headers={"Accept-Encoding": "identity"})
    zipped = shared.http.get("/", headers={"Accept-Encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.content == plain.content  # unpacked by httpx
    assert int(zipped.headers["content-length"]) < len(plain.content) / 2
    assert plain.headers["etag"] != zipped.headers["etag"]
    for answer in plain, zipped:
        assert "Accept-Encoding" in answer.headers["vary"]
    tag = zipped.headers["etag"]
    for accepted, status in (("gzip", 304), ("identity", 200)):
        headers = {"If-None-Match": tag, "Accept-Encoding": accepted}
        assert shared.http.get("/", headers=headers).status_code == status


def test_the_client_is_one_module_for_the_pages_of_this_machine(shared):
    page = "http://localhost:3000"
    answer = shared.http.get("/client.js", headers={"Origin": page})
    if shutil.which("npm") is None:
        assert answer.status_code == 501 and answer.json()["code"] == "not_implemented"
        return
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == page
    assert not re.search(r"\bimport\b", answer.text)
    assert re.search(r"export\s*{[^}]*\bconnect\b", answer.text)


def test_alive_and_ready(shared):
    for path, word in (("/healthz", "alive"), ("/readyz", "ready")):
        answer = shared.http.get(path)
        assert answer.status_code == 200
        assert answer.json() == {"status": word}
        assert answer.headers["cache-control"] == "no-store"
