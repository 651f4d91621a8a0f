"""The sender."""

from __future__ import annotations

import json
import random
import secrets
import ssl
import threading
import time
from itertools import count
from types import TracebackType
from typing import Any, Iterable, Mapping, Optional, Sequence, Type, Union
from urllib.parse import quote, urlencode

from .connections import Answer, Connections
from .errors import PushwireError, of_answer, of_problem
from .types import Gap, Outgoing, Page, Presence, Result, Sent, Stored, Token

_FIRST_WAIT = 0.1  # seconds, doubled with each attempt
_LONGEST_WAIT = 4.0
_LINES = 1000  # of one request
_BYTES = 4 << 20
_USERS = 1000


def _wait_after(attempt: int, at_least: Optional[float] = None) -> float:
    """With jitter; never less than the server asked for."""
    most = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(attempt, 16))
    return (at_least or 0.0) + random.uniform(most / 8, most)


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _name(value: object, what: str) -> str:
    """None, or a number that was meant as an id, would become a user of its own."""
    if not isinstance(value, str) or not value:
        raise TypeError(f"{what} is a text that is not empty, not {value!r}")
    return value


def _sent(told: Mapping[str, Any]) -> Sent:
    return Sent(id=told["id"], delivered=told.get("delivered", 0), duplicate=told.get("duplicate", False),
                kept=told["kept"], durable=told["durable"])


class Pushwire:
    """Sends by the server at `url` (http, https, or `unix:/path`). One serves all threads of a process,
    and keeps its connections open from one call to the next; it may be made before a fork.

    key        a publisher's key, pw_…, where the server asks for one
    sender     who sends, where a call does not say; the key may fix it
    timeout    seconds that one attempt waits for the server
    retry_for  seconds for which a call tries again before it raises; 0: one attempt
    context    for https, where the default one will not do

    Each call raises PushwireError if the server refuses it or stays out of reach, and TypeError or
    ValueError if it can be no call.
    """

    def __init__(self, url: str = "http://localhost:8000", *, key: Optional[str] = None,
                 sender: Optional[str] = None, timeout: float = 10.0, retry_for: float = 30.0,
                 context: Optional[ssl.SSLContext] = None, most_idle: int = 16) -> None:
        self._connections = Connections(url, timeout, most_idle, context)
        self._sender = sender
        self._retry_for = retry_for
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._closed = threading.Event()

    def close(self) -> None:
        """Calls that wait for another attempt raise `closed`."""
        self._closed.set()
        self._connections.close()

    def __enter__(self) -> Pushwire:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    # ---- sending ----

    def send(self, to: Union[str, Sequence[str]], message: Any, *, sender: Optional[str] = None,
             ttl: Optional[int] = None, key: Optional[str] = None, event: Optional[str] = None) -> Sent:
        """To a user, or to several as one message.

        ttl    seconds for which it is kept; 0: for who is online now, nobody else
        key    the same key again is the same message, and is not sent twice; without one each call is
               a message of its own, sent once however often it is tried
        event  makes it an event of this name, whose one argument the message is
        """
        if isinstance(to, Iterable) and not isinstance(to, str):
            where: dict[str, Any] = {"receivers": [_name(user, "a receiver") for user in to]}
        else:
            where = {"receiver": _name(to, "a receiver")}
        return self._send(where, message, sender, ttl, key, event)

    def publish(self, channel: str, message: Any, *, sender: Optional[str] = None,
                ttl: Optional[int] = None, key: Optional[str] = None, event: Optional[str] = None) -> Sent:
        """To everyone who listens to the channel."""
        return self._send({"channel": _name(channel, "a channel")}, message, sender, ttl, key, event)

    def broadcast(self, message: Any, *, sender: Optional[str] = None, ttl: Optional[int] = None,
                  key: Optional[str] = None, event: Optional[str] = None) -> Sent:
        """To everyone."""
        return self._send({"broadcast": True}, message, sender, ttl, key, event)

    def _send(self, where: dict[str, Any], message: Any, sender: Optional[str], ttl: Optional[int],
              key: Optional[str], event: Optional[str]) -> Sent:
        body = {**where, "event": event, "message": message, "sender": sender or self._sender, "ttl": ttl,
                "key": key or secrets.token_hex(12)}
        return _sent(self._json("POST", "/send-message", body))

    def send_many(self, messages: Iterable[Outgoing]) -> list[Result]:
        """Many in few requests. The results are in the order of the messages: what became of each, or
        why it was refused; one that is refused holds up no other. Those that the server could not take
        just then are tried again, and may come later than those behind them.

        If the server stays out of reach or lets nobody in this raises, and the error's `results` are of
        the messages before. To repeat such a call give the messages keys of your own.
        """
        once = secrets.token_hex(12)
        results: list[Result] = []
        for lines in self._requests(messages, once):
            try:
                results += self._send_lines(lines)
            except PushwireError as error:
                error.results = results
                raise
        return results

    def _requests(self, messages: Iterable[Outgoing], once: str) -> Iterable[list[bytes]]:
        lines: list[bytes] = []
        size = 0
        for number, message in enumerate(messages):
            line = _encode({"key": f"{once}-{number}", "sender": self._sender, **message}) + b"\n"
            if lines and (len(lines) == _LINES or size + len(line) > _BYTES):
                yield lines
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        if lines:
            yield lines

    def _send_lines(self, lines: list[bytes]) -> list[Result]:
        results: list[Result] = [PushwireError("overloaded", "the server did not take it")] * len(lines)
        left = list(range(len(lines)))
        until = time.monotonic() + self._retry_for
        attempt = 0
        while True:
            answer = self._insist("POST", "/send-messages", b"".join(lines[at] for at in left),
                                  "application/x-ndjson")
            later = self._note(left, answer, results)
            attempt = 0 if len(later) < len(left) else attempt + 1
            wait = _wait_after(attempt)
            if not later or time.monotonic() + wait > until:
                return results
            self._sleep(wait)
            left = later

    @staticmethod
    def _note(left: list[int], answer: Answer, results: list[Result]) -> list[int]:
        """What came of each line. Returns those to be sent again: refused for a moment, or not taken
        at all, which the last result says of all that follow."""
        settled = set()
        for at, line in zip(left, answer.body.splitlines()):
            told = json.loads(line)
            if "id" in told:
                results[at] = _sent(told)
                settled.add(at)
            else:
                error = results[at] = of_problem(told, told["status"])
                if not error.passes and error.code != "too_many_lines":
                    settled.add(at)
        return [at for at in left if at not in settled]

    # ---- asking ----

    def presence(self, users: Sequence[str]) -> dict[str, Presence]:
        """Who is online, and when those who are not were last seen. (Scope `read`)"""
        found: dict[str, Presence] = {}
        for at in range(0, len(users), _USERS):
            told = self._json("POST", "/users/query", {"users": list(users[at:at + _USERS])})
            for one in told["users"]:
                found[one["user"]] = Presence(one["online"], one["sessions"], one.get("last_seen"))
        return found

    def history(self, user: Optional[str] = None, *, channel: Optional[str] = None,
                after: Optional[str] = None, before: Optional[str] = None, limit: int = 100) -> Page:
        """What is kept for a user or a channel: the newest first, or from the cursor `after` on, oldest
        first (`after="0"`: all). (Scope `read`)"""
        if (user is None) == (channel is None):
            raise TypeError("give a user or a channel")
        owner = "users" if user is not None else "channels"
        name = quote(_name(user if user is not None else channel, "a user or channel"), safe="")
        order = {"after": after} if after is not None else {"before": before or ""}
        told = self._json("GET", f"/{owner}/{name}/messages?{urlencode({**order, 'limit': limit})}")
        messages = [Stored(one["id"], one["sender"], one.get("args", one.get("message")), one["sent_at"],
                           one.get("channel"), one.get("event"), one.get("args"), one.get("attachments"))
                    for one in told["messages"]]
        gap = told["gap"]
        return Page(messages, told["next"], told["more"], gap and Gap(gap["after"], gap["resumes"]))

    # ---- tokens ----

    def token(self, user: str, *, channels: Optional[Sequence[str]] = None,
              publish: Union[bool, Sequence[str], None] = None, ttl: Optional[int] = None) -> Token:
        """A token with which the user may receive, and with `publish` send. (Scope `token`)"""
        told = self._json("POST", "/tokens", {
            "user": _name(user, "a user"), "channels": channels and list(channels), "ttl": ttl,
            "publish": publish if publish is None or isinstance(publish, bool) else list(publish)})
        return Token(told["token"], told["user"], told["expires_at"])

    def revoke(self, user: str) -> int:
        """Closes the user's sessions and refuses the tokens issued before now; how many were closed.
        (Scope `manage`)"""
        path = f"/users/{quote(_name(user, 'a user'), safe='')}/revoke"
        closed: int = self._json("POST", path, {})["closed"]
        return closed

    # ---- how it gets there ----

    def _json(self, method: str, path: str, value: Optional[dict[str, Any]] = None) -> Any:
        body = None if value is None else _encode({k: v for k, v in value.items()
                                                   if v is not None or k == "message"})
        answer = self._insist(method, path, body, "application/json")
        try:
            return json.loads(answer.body)
        except ValueError:
            raise PushwireError("bad_answer", "the answer is no JSON; is this a Pushwire server?",
                                status=answer.status) from None

    def _insist(self, method: str, path: str, body: Optional[bytes], content_type: str) -> Answer:
        """Until there is an answer, or retry_for is over. What is asked can be asked twice: messages
        have keys, and the rest says how things are to be."""
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = content_type
        until = time.monotonic() + self._retry_for
        for attempt in count():
            if self._closed.is_set():
                raise PushwireError("closed", "this was closed")
            try:
                answer = self._connections.ask(method, path, body, headers)
                if 200 <= answer.status < 300:
                    return answer
                error = of_answer(answer.status, answer.body, answer.retry_after)
            except PushwireError as unreachable:
                error = unreachable
            wait = _wait_after(attempt, error.retry_after)
            if not error.passes or time.monotonic() + wait > until:
                raise error
            self._sleep(wait)
        raise AssertionError("not reached")

    def _sleep(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise PushwireError("closed", "this was closed while it waited for another attempt")
