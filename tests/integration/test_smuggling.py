"""Requests that could be read in two ways are refused and their connection closed, so that what
hides behind them never runs. published_total is the witness."""

import pytest

from harness import answers_of, raw
from library import refuses_by_itself

BODY = b'{"sender":"bob","receiver":"alice","message":"hidden"}'
HIDDEN = (b"POST /send-message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
          b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY))
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
START = b"POST /send-message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


def post(*lines, body=b"", start=START):
    return start + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


SMALL = b"Content-Length: %d" % len(BODY)
SHAPES = {
    # two ways to frame the body
    "cl-and-te": post(SMALL, b"Transfer-Encoding: chunked", body=CHUNKED),
    "te-and-cl": post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=CHUNKED),
    "te-hides-in-cl-0": post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=CHUNKED),
    "cl-and-te-in-lower-case": post(b"content-length: 5", b"transfer-encoding: chunked",
                                    body=CHUNKED),
    "two-different-cl": post(b"Content-Length: 0", SMALL, body=BODY),
    "two-different-cl-turned": post(SMALL, b"Content-Length: 0", body=BODY),
    "two-equal-cl": post(SMALL, SMALL, body=BODY),
    "cl-list": post(b"Content-Length: %d,%d" % (len(BODY), len(BODY)), body=BODY),
    "cl-list-with-blank": post(b"Content-Length: %d, 0" % len(BODY), body=BODY),
    # lengths that are no plain number
    "cl-plus": post(b"Content-Length: +%d" % len(BODY), body=BODY),
    "cl-minus": post(b"Content-Length: -1"),
    "cl-minus-0": post(b"Content-Length: -0"),
    "cl-20-digits": post(b"Content-Length: 18446744073709551617", body=BODY),
    "cl-30-digits": post(b"Content-Length: " + b"9" * 30, body=BODY),
    "cl-zeros-in-front": post(b"Content-Length: " + b"0" * 30 + b"5", body=BODY),
    "cl-empty": post(b"Content-Length:", body=BODY),
    "cl-blank-inside": post(b"Content-Length: 5 4", body=BODY),
    "cl-hex": post(b"Content-Length: 0x36", body=BODY),
    "cl-fraction": post(b"Content-Length: 54.0", body=BODY),
    "cl-exponent": post(b"Content-Length: 5e1", body=BODY),
    "cl-words": post(b"Content-Length: five", body=BODY),
    "cl-quoted": post(b'Content-Length: "54"', body=BODY),
    "cl-with-parameter": post(b"Content-Length: 54;a=b", body=BODY),
    "cl-underscore": post(b"Content-Length: 5_4", body=BODY),
    # transfer codings other than exactly chunked
    "te-gzip": post(b"Transfer-Encoding: gzip", body=CHUNKED),
    "te-gzip-chunked": post(b"Transfer-Encoding: gzip, chunked", body=CHUNKED),
    "te-chunked-gzip": post(b"Transfer-Encoding: chunked, gzip", body=CHUNKED),
    "te-identity": post(b"Transfer-Encoding: identity", SMALL, body=BODY),
    "te-identity-alone": post(b"Transfer-Encoding: identity", body=CHUNKED),
    "te-chunked-chunked": post(b"Transfer-Encoding: chunked, chunked", body=CHUNKED),
    "te-twice": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=CHUNKED),
    "te-twice-different": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: x", body=CHUNKED),
    "te-empty": post(b"Transfer-Encoding:", body=CHUNKED),
    "te-quoted": post(b'Transfer-Encoding: "chunked"', body=CHUNKED),
    "te-with-parameter": post(b"Transfer-Encoding: chunked;a=b", body=CHUNKED),
    "te-comma": post(b"Transfer-Encoding: ,chunked", body=CHUNKED),
    "te-xchunked": post(b"Transfer-Encoding: xchunked", body=CHUNKED),
    "te-vertical-tab": post(b"Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "te-no-break-space": post(b"Transfer-Encoding: \xa0chunked", body=CHUNKED),
    "te-on-http-1.0": post(b"Transfer-Encoding: chunked", body=CHUNKED,
                           start=START.replace(b"1.1", b"1.0")),
    # names that some take for others
    "blank-before-colon": post(b"Transfer-Encoding : chunked", body=CHUNKED),
    "blank-before-colon-cl": post(b"Content-Length : 54", body=BODY),
    "tab-before-colon": post(b"Transfer-Encoding\t: chunked", body=CHUNKED),
    "blank-before-name": post(b" Transfer-Encoding: chunked", body=CHUNKED),
    "name-with-nul": post(b"Transfer-Encoding\0: chunked", body=CHUNKED),
    "name-empty": post(b": chunked", body=CHUNKED),
    "name-with-bracket": post(b"Transfer[Encoding: chunked", body=CHUNKED),
    "no-colon": post(b"Transfer-Encoding chunked", body=CHUNKED),
    # lines that some see and others don't
    "folded-value": post(b"Transfer-Encoding:\r\n chunked", body=CHUNKED),
    "folded-header": post(b"X-A: b\r\n Transfer-Encoding: chunked", body=CHUNKED),
    "folded-by-tab": post(b"X-A: b\r\n\tContent-Length: 54", body=BODY),
    "folded-cl": post(b"Content-Length: 5\r\n 4", body=BODY),
    "bare-cr": post(b"X-A: b\rTransfer-Encoding: chunked", body=CHUNKED),
    "bare-cr-cl": post(b"X-A: b\rContent-Length: 54", body=BODY),
    "cr-cr-lf": post(b"X-A: b\r", b"Transfer-Encoding: chunked", body=CHUNKED),
    "bare-lf": post(b"X-A: b\nTransfer-Encoding: chunked", body=CHUNKED),
    "bare-lf-cl": post(b"X-A: b\nContent-Length: 54", body=BODY),
    "bare-lf-after-request-line": post(SMALL, body=BODY,
                                       start=START.replace(b"1.1\r\n", b"1.1\n", 1)),
    "bare-cr-after-request-line": post(SMALL, body=BODY,
                                       start=START.replace(b"1.1\r\n", b"1.1\r", 1)),
    "all-bare-lf": post(SMALL).replace(b"\r\n", b"\n") + BODY,
    "all-bare-cr": post(SMALL).replace(b"\r\n", b"\r") + BODY,
    "head-ends-lf-lf": post(SMALL)[:-4] + b"\n\n" + BODY,
    "head-ends-lf-crlf": post(SMALL)[:-4] + b"\n\r\n" + BODY,
    "head-ends-crlf-lf": post(SMALL)[:-4] + b"\r\n\n" + BODY,
    "nul-in-value": post(b"X-A: a\0b", SMALL, body=BODY),
    "nul-ends-value": post(b"X-A: a\0", SMALL, body=BODY),
    "nul-line": post(b"\0", SMALL, body=BODY),
    "nul-line-first": START[:34] + b"\0\r\n" + post(SMALL, body=BODY, start=START[34:]),
    "nul-line-at-the-end": post(SMALL, b"\0") + BODY,
    "nul-line-hides-a-request": GET + b"X-A: b\r\n\0\r\n",
    "nul-line-with-more": GET + b"X-A: b\r\n\0X\r\n\r\n",
    "control-in-value": post(b"X-A: a\x01b", SMALL, body=BODY),
    "delete-in-value": post(b"X-A: a\x7fb", SMALL, body=BODY),
    "escape-in-value": post(b"X-A: \x1b[2J", SMALL, body=BODY),
    # hosts
    "no-host": post(SMALL, body=BODY, start=START.replace(b"Host: localhost\r\n", b"")),
    "two-hosts": post(b"Host: evil.example", SMALL, body=BODY),
    "two-equal-hosts": post(b"Host: localhost", SMALL, body=BODY),
    "host-list": post(SMALL, body=BODY, start=START.replace(b"localhost", b"localhost, evil")),
    "host-with-path": post(SMALL, body=BODY, start=START.replace(b"localhost", b"localhost/x")),
    "host-with-user": post(SMALL, body=BODY, start=START.replace(b"localhost", b"a@localhost")),
    "host-folded": post(SMALL, body=BODY, start=START.replace(b"localhost", b"localhost\r\n x")),
    # request lines
    "absolute-form-with-user": post(SMALL, body=BODY, start=START.replace(
        b"/send-message", b"http://a@localhost/send-message")),
    "absolute-form-without-host": post(SMALL, body=BODY, start=START.replace(
        b"/send-message", b"http:///send-message")),
    "absolute-form-of-another-scheme": post(SMALL, body=BODY, start=START.replace(
        b"/send-message", b"ftp://localhost/send-message")),
    "no-slash": post(SMALL, body=BODY, start=START.replace(b"/send", b"send")),
    "blank-in-target": post(SMALL, body=BODY, start=START.replace(b"message ", b"message x ")),
    "tab-in-target": post(SMALL, body=BODY, start=START.replace(b"message ", b"message\tx ")),
    "two-blanks": post(SMALL, body=BODY, start=START.replace(b"POST ", b"POST  ")),
    "two-blanks-behind": post(SMALL, body=BODY, start=START.replace(b"message ", b"message  ")),
    "tab-for-blank": post(SMALL, body=BODY, start=START.replace(b"POST ", b"POST\t")),
    "blank-in-front": b" " + post(SMALL, body=BODY),
    "fragment": post(SMALL, body=BODY, start=START.replace(b"message ", b"message#x ")),
    "backslash": post(SMALL, body=BODY, start=START.replace(b"/send", b"\\send")),
    "nul-in-target": post(SMALL, body=BODY, start=START.replace(b"message ", b"message\0x ")),
    "cr-in-target": post(SMALL, body=BODY, start=START.replace(b"message ", b"message\rx ")),
    "nul-in-method": post(SMALL, body=BODY, start=START.replace(b"POST", b"PO\0ST")),
    "method-with-bracket": post(SMALL, body=BODY, start=START.replace(b"POST", b"PO(ST")),
    "no-method": post(SMALL, body=BODY, start=START.replace(b"POST ", b"")),
    "no-version": post(SMALL, body=BODY, start=START.replace(b" HTTP/1.1", b"")),
    "http-0.9": post(SMALL, body=BODY, start=START.replace(b"HTTP/1.1", b"HTTP/0.9")),
    "http-1.2": post(SMALL, body=BODY, start=START.replace(b"HTTP/1.1", b"HTTP/1.2")),
    "http-2.0": post(SMALL, body=BODY, start=START.replace(b"HTTP/1.1", b"HTTP/2.0")),
    "http-11": post(SMALL, body=BODY, start=START.replace(b"HTTP/1.1", b"HTTP/11")),
    "http-1.10": post(SMALL, body=BODY, start=START.replace(b"HTTP/1.1", b"HTTP/1.10")),
    "http-lower-case": post(SMALL, body=BODY, start=START.replace(b"HTTP/1.1", b"http/1.1")),
    "version-blank": post(SMALL, body=BODY, start=START.replace(b"HTTP/1.1", b"HTTP/1.1 ")),
    "http-2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xa5" * 100 + b"\r\n\r\n",
    "only-a-name": b"hello\r\n\r\n",
    # what decides must not come twice
    "two-origins": post(b"Origin: http://localhost", b"Origin: http://evil.example", SMALL,
                        body=BODY),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_ambiguous_request_is_refused_and_its_connection_closed(shared, shape):
    before = shared.published()
    answers = answers_of(raw(shared, shape + HIDDEN))
    # libmicrohttpd 0.9.75 writes the head of some of its own refusals twice.
    assert len(set(answers)) <= 1, "it answered what is hidden behind"
    assert set(answers) <= {400, 403, 413, 414, 431, 501, 505}
    assert shared.published() == before


@pytest.mark.parametrize("name", [
    "cl-and-te", "two-different-cl", "two-equal-cl", "te-gzip", "te-twice", "te-on-http-1.0",
    "blank-before-colon", "folded-value", "bare-cr", "bare-lf", "no-host", "two-hosts",
    "nul-in-value", "control-in-value", "absolute-form-with-user", "host-with-path", "two-origins",
    "nul-line", "host-folded", "blank-in-target",
])
def test_the_refusal_is_a_problem_that_says_why(shared, name):
    answer = raw(shared, SHAPES[name])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")), answer
    assert b"connection: close" in head.lower()
    if not refuses_by_itself():  # which has pages of its own for it
        assert b"application/problem+json" in head
        assert b'"detail":"' in body


CHUNKS = {
    "size-plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "size-minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "size-hex-prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size-empty": b"\r\nhello\r\n0\r\n\r\n",
    "size-word": b"five\r\nhello\r\n0\r\n\r\n",
    "size-17-digits": b"10000000000000005\r\nhello",
    "data-too-long": b"5\r\nhello!!\r\n0\r\n\r\n",
    "no-line-end-behind-data": b"5\r\nhello0\r\n\r\n",
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
def test_bad_chunks_end_the_connection(shared, chunks):
    before = shared.published()
    answers = answers_of(raw(shared, post(b"Transfer-Encoding: chunked", body=chunks) + HIDDEN))
    assert len(answers) <= 1 and all(a >= 400 for a in answers)
    assert shared.published() == before


@pytest.mark.parametrize("size", [b"ffffffffffffffff", b"8000000000000000", b"7fffffffffffffff"])
def test_a_chunk_that_never_ends_has_a_limit(shared, size):
    before = shared.published()
    chunks = size + b"\r\n" + HIDDEN * 16000
    answers = answers_of(raw(shared, post(b"Transfer-Encoding: chunked", body=chunks)))
    assert answers in ([], [400], [413])
    assert shared.published() == before


def test_a_get_with_a_body_keeps_the_body_out_of_the_next_request(shared):
    before = shared.published()
    data = (GET + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN +
            GET + b"Connection: close\r\n\r\n")
    assert answers_of(raw(shared, data)) == [200, 200]
    assert shared.published() == before


def test_a_body_for_a_route_without_one_is_not_the_next_request(shared):
    before = shared.published()
    for line in (b"PUT /users", b"GET /nothing", b"DELETE /users/alice/messages"):
        data = (line + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
                + HIDDEN + GET + b"Connection: close\r\n\r\n")
        assert len(answers_of(raw(shared, data))) in (1, 2)
    assert shared.published() == before


def test_a_handshake_with_a_body_does_not_run_it(shared):
    before = shared.published()
    handshake = (b"GET /ws/alice HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                 b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
    for length in (b"Content-Length: %d\r\n" % len(HIDDEN), b"Transfer-Encoding: chunked\r\n"):
        body = HIDDEN if b"Content" in length else b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
        data = handshake + length + b"\r\n" + body + GET + b"Connection: close\r\n\r\n"
        assert answers_of(raw(shared, data)) == [400, 200]
    # Without a length, what follows belongs to the WebSocket: garbage, and the end.
    assert answers_of(raw(shared, handshake + b"\r\n" + HIDDEN)) == [101]
    assert shared.published() == before


def test_the_hidden_request_itself_is_fine(shared):
    before = shared.published()
    data = HIDDEN + GET + b"Connection: close\r\n\r\n"
    assert answers_of(raw(shared, data)) == [200, 200]
    assert shared.published() == before + 1
