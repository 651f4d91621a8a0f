"""Which content types are read, and from whom."""

import shutil
import subprocess

import pytest

BODY = b'{"sender":"bob","receiver":"alice","message":"hi"}'
FORM = "application/x-www-form-urlencoded"


def post(server, content_type=None, body=BODY, **headers):
    given = {k.replace("_", "-"): v for k, v in headers.items()}
    if content_type is not None:
        given["Content-Type"] = content_type
    return server.http.post("/send-message", content=body, headers=given)


@pytest.mark.parametrize("content_type", [
    "application/json", "application/json; charset=utf-8", "APPLICATION/JSON",
    "application/json ;charset=UTF-8", "application/vnd.api+json", "application/ld+json; a=b",
    FORM, f"{FORM}; charset=utf-8", None,
])
def test_what_is_read_from_programs(shared, content_type):
    assert post(shared, content_type).status_code == 200


@pytest.mark.parametrize("content_type", [
    "text/plain", "text/json", "application/xml", "multipart/form-data; boundary=x",
    "application/jsonx", "+json", "application/json/x", "json", "", "application/x-ndjson",
])
def test_what_is_not_read_is_415_and_says_what_to_add(shared, content_type):
    before = shared.published()
    answer = post(shared, content_type)
    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_media_type"
    assert "Content-Type: application/json" in answer.json()["detail"]
    assert shared.published() == before


@pytest.mark.parametrize("who", [{"Origin": "http://localhost:3000"},
                                 {"Sec_Fetch_Site": "same-origin"}, {"Sec_Fetch_Site": "none"}],
                         ids=str)
@pytest.mark.parametrize("content_type", [FORM, None, "text/plain"])
def test_a_browser_must_say_json(shared, who, content_type):
    before = shared.published()
    assert post(shared, content_type, **who).status_code == 415
    assert post(shared, "application/json", **who).status_code == 200
    assert shared.published() == before + 1


def test_a_form_is_no_json_object(shared):
    answer = post(shared, FORM, body=b"sender=bob&receiver=alice&message=hi")
    assert answer.status_code == 415


def test_white_space_before_the_object_is_fine(shared):
    assert post(shared, FORM, body=b" \r\n\t" + BODY).status_code == 200


def test_a_query_has_the_same_rules(shared):
    body = b'{"users":["alice"]}'
    assert shared.http.post("/users/query", content=body).status_code == 200
    assert shared.http.post("/users/query", content=body,
                            headers={"Content-Type": "text/plain"}).status_code == 415


def test_the_readme_s_curl_works(server):
    curl = shutil.which("curl")
    if not curl:
        pytest.skip("curl is not installed")
    done = subprocess.run([curl, "-sS", f"{server.url}/send-message", "-d", BODY.decode()],
                          capture_output=True, text=True, timeout=20)
    assert '"status":"Message sent"' in done.stdout, done
