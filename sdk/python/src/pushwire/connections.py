"""Connections to one server, kept open from one request to the next."""

from __future__ import annotations

import http.client
import os
import select
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import Optional, cast
from urllib.parse import urlsplit

from .errors import PushwireError


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    retry_after: Optional[str]


class _LocalConnection(http.client.HTTPConnection):
    """Over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _is_idle(connection: http.client.HTTPConnection) -> bool:
    """Else it is readable before anything was asked: the server has closed it."""
    sock = cast(Optional[socket.socket], connection.sock)
    if sock is None or not hasattr(select, "poll"):
        return sock is not None
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


class Connections:
    """For any number of threads: each request has a connection to itself, which then waits for the
    next one. A process that forked begins with none of its parent's."""

    def __init__(self, url: str, timeout: float, most_idle: int,
                 context: Optional[ssl.SSLContext] = None) -> None:
        self._timeout = timeout
        self._most_idle = most_idle
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._process = os.getpid()
        self._local_path: Optional[str] = None
        self._prefix = ""
        if url.startswith("unix:"):
            self._local_path = url[len("unix:"):]
            return
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"url is http://…, https://… or unix:/path, not {url!r}")
        if parts.username is not None:
            raise ValueError("url has no room for credentials; give the key as key=")
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._context = context
        if parts.scheme == "https" and context is None:
            self._context = ssl.create_default_context()
        self._is_tls = parts.scheme == "https"

    def _new(self) -> http.client.HTTPConnection:
        if self._local_path is not None:
            return _LocalConnection(self._local_path, self._timeout)
        if self._is_tls:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout,
                                               context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def _take(self) -> Optional[http.client.HTTPConnection]:
        with self._lock:
            if self._process != os.getpid():
                self._process, self._idle = os.getpid(), []
            while self._idle:
                connection = self._idle.pop()
                if _is_idle(connection):
                    return connection
                connection.close()
        return None

    def _put_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if connection.sock is not None and len(self._idle) < self._most_idle:
                self._idle.append(connection)
                return
        connection.close()

    def ask(self, method: str, path: str, body: Optional[bytes], headers: dict[str, str]) -> Answer:
        """PushwireError `unreachable`: there was no answer, and nobody knows whether it was done."""
        used = self._take()
        if used:
            try:
                return self._ask(used, method, path, body, headers)
            except (ConnectionError, http.client.BadStatusLine):
                pass  # the server closed it meanwhile, which says nothing about now
        try:
            return self._ask(self._new(), method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise PushwireError("unreachable", f"no answer: {reason}") from error

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str,
             body: Optional[bytes], headers: dict[str, str]) -> Answer:
        try:
            connection.request(method, self._prefix + path, body=body, headers=headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.read(), response.headers.get("Retry-After"))
        except BaseException:
            connection.close()
            raise
        self._put_back(connection)
        return answer

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
