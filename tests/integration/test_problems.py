"""What is refused is told as application/problem+json, always in the same form."""

import re

import pytest

from harness import AnswerReader, ROOT, request, wait_until


def codes():
    text = (ROOT / "include/base/err.h").read_text().replace("\\\n", " ")
    rows = re.findall(r'X\([A-Z0-9_]+,\s*"(\w+)",\s*(\d+),\s*\d+,\s*"([^"]+)"\)', text)
    return {code: (int(status), title) for code, status, title in rows}


def bad_requests():
    json_type = {"Content-Type": "application/json"}
    return [
        ("POST", "/send-message", {"content": b"{", "headers": json_type}, "bad_json"),
        ("GET", "/users/%00", {}, "bad_id"),
        ("GET", "/users?limit=x", {}, "bad_parameter"),
        ("GET", "/nothing", {}, "not_found"),
        ("GET", "/", {"headers": {"Origin": "http://evil.example"}}, "origin_not_allowed"),
        ("GET", "/", {"headers": {"Host": "evil.example"}}, "host_not_allowed"),
        ("PUT", "/users", {}, "method_not_allowed"),
        ("POST", "/send-message", {"content": b" " * 300000}, "body_too_large"),
        ("POST", "/send-message", {"content": b"x"}, "unsupported_media_type"),
        ("POST", "/send-message", {"json": {}}, "missing_field"),
        ("POST", "/send-message", {"json": {"sender": 1}}, "bad_field"),
        ("GET", "/ws/alice", {}, "upgrade_required"),
    ]


@pytest.mark.parametrize("method,path,options,code", bad_requests(), ids=lambda v: str(v)[:20])
def test_a_problem_has_every_member_and_counts(shared, method, path, options, code):
    before = shared.metric("refused_total", code=code)
    answer = shared.http.request(method, path, **options)
    status, title = codes()[code]
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["type"] == f"/docs/errors#{code}"
    assert (told["title"], told["status"], told["code"]) == (title, status, code)
    assert told["detail"]
    assert told["request_id"] == answer.headers["x-request-id"]
    # An answer that comes before its body's end is counted at that end.
    wait_until(lambda: shared.metric("refused_total", code=code) == before + 1)


def test_the_type_leads_to_a_page_that_explains_the_code(shared):
    told = shared.http.get("/nothing").json()
    path, _, anchor = told["type"].partition("#")
    page = shared.http.get(path)
    assert page.status_code == 200
    assert f'id="{anchor}"' in page.text or f"## {anchor}\n" in page.text


def test_a_request_id_is_made_and_differs(shared):
    ids = {shared.http.get("/healthz").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(re.fullmatch(r"[0-9a-f]{16}", i) for i in ids)


@pytest.mark.parametrize("given", ["abc-123", "a" * 64, "0af7651916cd43dd8448eb211c80319c"])
def test_a_given_request_id_is_echoed(shared, given):
    answer = shared.http.get("/nothing", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "a" * 65, 'a"b', "a b", "<x>", "a\\b"])
def test_an_improper_request_id_is_replaced(shared, given):
    answer = shared.http.get("/nothing", headers={"X-Request-Id": given})
    assert answer.status_code == 404
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path,allow", [
    ("/send-message", {"POST"}),
    ("/users", {"GET", "HEAD"}),
    ("/users/query", {"POST", "GET", "HEAD"}),
    ("/users/alice", {"GET", "HEAD"}),
    ("/users/alice/messages", {"GET", "HEAD", "DELETE"}),
    ("/users/alice/sessions", {"DELETE"}),
    ("/healthz", {"GET", "HEAD"}), ("/", {"GET", "HEAD"}), ("/metrics", {"GET", "HEAD"}),
])
def test_405_says_which_methods_there_are(shared, path, allow):
    answer = shared.http.request("PATCH", path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allow
    options = shared.http.options(path)
    assert options.status_code == 204
    assert set(options.headers["allow"].split(", ")) == allow


def test_every_method_is_answered(shared):
    for method in ("TRACE", "CONNECT", "PROPFIND", "get", "X" * 100):
        with shared.connect() as sock:
            sock.sendall(request(method, "/healthz"))
            assert AnswerReader(sock).next().status in (400, 405, 501), method


def test_options_for_the_whole_server_is_answered(shared):
    with shared.connect() as sock:
        answers = AnswerReader(sock)
        sock.sendall(request("OPTIONS", "*"))
        assert answers.next().status < 500


def test_an_unknown_path_says_where_to_read(shared):
    answer = shared.http.post("/notify", json={})
    assert answer.status_code == 404
    assert "docs/wire.md" in answer.json()["detail"]
