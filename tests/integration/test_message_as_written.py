"""The message arrives as it was written: no number is rounded, no text changed."""

import json

import pytest

from harness import run

pytestmark = pytest.mark.workers

# What is written, and what arrives (the same but for white space between tokens).
MESSAGES = {
    "price": ("19.99", None),
    "trailing-zero": ("1.50", None),
    "exponent": ("1E+2", None),
    "huge-exponent": ("1e400", None),
    "negative-huge-exponent": ("[-1e400,1e-400]", None),
    "very-long-integer": ("9" * 400, None),
    "long-fraction": ("3." + "1" * 60, None),
    "minus-zero": ("-0", None),
    "beyond-double": ("9007199254740993", None),
    "beyond-64-bits": ("123456789012345678901234567890", None),
    "true": ("true", None),
    "null": ("null", None),
    "empty-text": ('""', None),
    "empty-object": ("{}", None),
    "empty-list": ("[]", None),
    "order-of-members": ('{"z":1,"a":2,"m":3}', None),
    "escapes-stay": (r'"\u00e9\n\t\"\\\/\ud83d\ude00"', None),
    "unicode-stays": ('"é 漢字 😀 \u2028"', None),
    "white-space-goes": ('{ "a" : [ 1 ,\r\n\t2 ] }', '{"a":[1,2]}'),
    "white-space-in-text-stays": ('"a  b"', None),
    "braces-in-text": (r'{"a":"}],{[\"","b":"\\"}', None),
    "nested": ("[" * 100 + "]" * 100, None),
    "inner-message-field": ('{"message":"inner","sender":"x"}', None),
}


def send(server, user, text, name='"message"'):
    body = f'{{"sender":"bob","receiver":"{user}",{name}:{text},"ttl":60}}'
    return server.http.post("/send-message", content=body.encode(),
                            headers={"Content-Type": "application/json"})


def frame_of(server, user, text, form):
    async def scenario():
        async with server.ws(f"/ws/{user}", form=form) as socket:
            if form == "json":
                await socket.recv()
            answer = send(server, user, text)
            assert answer.status_code == 200, answer.text
            return await socket.recv()

    return run(scenario())


@pytest.mark.parametrize("text,expected", MESSAGES.values(), ids=MESSAGES)
def test_a_json_session_gets_it_as_written(shared, user, text, expected):
    frame = frame_of(shared, user, text, "json")
    assert f'"message":{expected or text},"sent_at":"' in frame
    json.loads(frame)


@pytest.mark.parametrize("text,expected", MESSAGES.values(), ids=MESSAGES)
def test_the_mailbox_has_it_as_written(shared, user, text, expected):
    answer = send(shared, user, text)
    assert answer.status_code == 200, answer.text
    assert f'"message":{expected or text},' in shared.http.get(f"/users/{user}/messages").text


@pytest.mark.parametrize("text,expected", [
    ('"hi"', "[bob]: hi"),
    (r'"\u00e9\n\"\ud83d\ude00"', '[bob]: é\n"😀'),
    ("19.99", "[bob]: 19.99"),
    ('{ "a": "é" }', '[bob]: {"a":"é"}'),
    ("null", "[bob]: null"),
    ('""', "[bob]: "),
])
def test_a_text_session_gets_the_text_or_compact_json(shared, user, text, expected):
    assert frame_of(shared, user, text, "text") == expected


@pytest.mark.parametrize("name", [r'"m\u0065ssage"', r'"\u006D\u0065\u0073\u0073\u0061\u0067\u0065"'])
@pytest.mark.parametrize("text", ["19.99", "7", "1e400", '{"a":"\\u00e9"}', '"x"'])
def test_the_field_s_name_may_be_written_with_escapes(shared, user, name, text):
    assert send(shared, user, text, name=name).status_code == 200
    assert f'"message":{text},' in shared.http.get(f"/users/{user}/messages").text


def test_a_ttl_too_large_for_any_number_is_out_of_bounds(shared, user):
    answer = shared.http.post("/send-message", headers={"Content-Type": "application/json"},
                              content=f'{{"sender":"b","receiver":"{user}","message":1,"ttl":1e400}}')
    assert (answer.status_code, answer.json().get("field")) == (422, "ttl")


BAD_JSON = {
    "empty": b"", "cut": b'{"sender":"bob"', "trailing": b'{"sender":"bob"}x',
    "two": b'{"a":1}{"b":2}', "list": b"[]", "text": b'"hi"', "number": b"1", "null": b"null",
    "comma": b'{"a":1,}', "single-quotes": b"{'a':1}", "nan": b'{"a":NaN}', "hex": b'{"a":0x10}',
    "leading-zero": b'{"a":01}', "leading-zero-huge": b'{"a":01e400}', "bare-dot": b'{"a":1.}',
    "plus": b'{"a":+1}', "cut-exponent": b'{"a":1e400,"b":1e}', "comment": b'{"a":1/*x*/}',
    "bad-utf8": b'{"a":"\xff"}', "overlong-utf8": b'{"a":"\xc0\xaf"}',
    "surrogate-utf8": b'{"a":"\xed\xa0\x80"}', "lone-surrogate": b'{"a":"\\ud800"}',
    "control": b'{"a":"\x01"}', "nul": b'{"a":"\x00"}', "nul-behind": b'{"a":1}\x00',
    "byte-order-mark": b'\xef\xbb\xbf{"a":1}', "utf-16": '{"a":1}'.encode("utf-16"),
    "too-deep": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "double-name": b'{"sender":"a","sender":"b","receiver":"c","message":1}',
    "double-name-by-escape": b'{"sender":"a","s\\u0065nder":"b","receiver":"c","message":1}',
    "double-name-inside": b'{"sender":"a","receiver":"b","message":{"x":1,"x":2}}',
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_what_is_not_a_json_object_is_refused(shared, body):
    answer = shared.http.post("/send-message", content=body,
                              headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "bad_json"
