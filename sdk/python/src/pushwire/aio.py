"""The sender for asyncio."""

from __future__ import annotations

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Callable, Iterable, Optional, Sequence, Type, TypeVar, Union

from .client import Pushwire
from .types import Outgoing, Page, Presence, Result, Sent, Token

_R = TypeVar("_R")


class AsyncPushwire:
    """Pushwire, whose calls are awaited. They run in `connections` threads of its own, which hold
    nothing up; further calls wait for one to be free. A call that is cancelled is still brought to its
    end, so its message may arrive.
    """

    def __init__(self, url: str = "http://localhost:8000", *, key: Optional[str] = None,
                 sender: Optional[str] = None, timeout: float = 10.0, retry_for: float = 30.0,
                 context: Optional[ssl.SSLContext] = None, connections: int = 16) -> None:
        self._push = Pushwire(url, key=key, sender=sender, timeout=timeout, retry_for=retry_for,
                              context=context, most_idle=connections)
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="pushwire")

    async def _run(self, call: Callable[..., _R], *args: Any, **options: Any) -> _R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(call, *args, **options))

    async def close(self) -> None:
        """Calls that wait for another attempt raise `closed`."""
        self._push.close()
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    async def __aenter__(self) -> AsyncPushwire:
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        await self.close()

    async def send(self, to: Union[str, Sequence[str]], message: Any, *, sender: Optional[str] = None,
                   ttl: Optional[int] = None, key: Optional[str] = None,
                   event: Optional[str] = None) -> Sent:
        return await self._run(self._push.send, to, message, sender=sender, ttl=ttl, key=key, event=event)

    async def publish(self, channel: str, message: Any, *, sender: Optional[str] = None,
                      ttl: Optional[int] = None, key: Optional[str] = None,
                      event: Optional[str] = None) -> Sent:
        return await self._run(self._push.publish, channel, message, sender=sender, ttl=ttl, key=key,
                               event=event)

    async def broadcast(self, message: Any, *, sender: Optional[str] = None, ttl: Optional[int] = None,
                        key: Optional[str] = None, event: Optional[str] = None) -> Sent:
        return await self._run(self._push.broadcast, message, sender=sender, ttl=ttl, key=key, event=event)

    async def send_many(self, messages: Iterable[Outgoing]) -> list[Result]:
        return await self._run(self._push.send_many, list(messages))

    async def presence(self, users: Sequence[str]) -> dict[str, Presence]:
        return await self._run(self._push.presence, users)

    async def history(self, user: Optional[str] = None, *, channel: Optional[str] = None,
                      after: Optional[str] = None, before: Optional[str] = None,
                      limit: int = 100) -> Page:
        return await self._run(self._push.history, user, channel=channel, after=after, before=before,
                               limit=limit)

    async def token(self, user: str, *, channels: Optional[Sequence[str]] = None,
                    publish: Union[bool, Sequence[str], None] = None,
                    ttl: Optional[int] = None) -> Token:
        return await self._run(self._push.token, user, channels=channels, publish=publish, ttl=ttl)

    async def revoke(self, user: str) -> int:
        return await self._run(self._push.revoke, user)
