"""What goes in and comes out. Times are RFC 3339; ids are 19 digits, in rising order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Sequence, TypedDict, Union

from .errors import PushwireError


# A word of the language, so not to be written as a member of a class.
_Except = TypedDict("_Except", {"except": str}, total=False)


class Outgoing(_Except, total=False):
    """One of `send_many`: a `message`, and one of `receiver`, `receivers`, `channel` and `broadcast`. An
    event has `event`, and `args` where there is not exactly one argument."""

    receiver: str
    receivers: Sequence[str]
    channel: str
    broadcast: bool
    message: Any
    event: str
    args: Sequence[Any]
    attachments: Sequence[str]
    sender: str
    ttl: int
    key: str


@dataclass(frozen=True)
class Sent:
    """The server has it."""

    id: str
    delivered: int  # sessions that were open for it; 0 of a duplicate
    duplicate: bool  # an earlier attempt had got through, and nothing was sent again
    kept: bool  # it waits for who is away
    durable: bool  # it is on disk


Result = Union[Sent, PushwireError]


@dataclass(frozen=True)
class Presence:
    online: bool
    sessions: int
    last_seen: Optional[str]


@dataclass(frozen=True)
class Stored:
    """A message that is kept."""

    id: str
    sender: str
    message: Any  # of an event its one argument, or the list of them
    sent_at: str
    channel: Optional[str] = None
    event: Optional[str] = None
    args: Optional[list[Any]] = None  # of an event, where there is not exactly one
    attachments: Optional[list[str]] = None


@dataclass(frozen=True)
class Gap:
    """What followed `after`, up to and including `resumes`, is no longer kept."""

    after: str
    resumes: str


@dataclass(frozen=True)
class Page:
    messages: list[Stored]
    next: Optional[str]  # the cursor of the next page; None where nothing is older
    more: bool
    gap: Optional[Gap]


@dataclass(frozen=True)
class Token:
    """What a receiver shows to be let in."""

    token: str
    user: str
    expires_at: str
