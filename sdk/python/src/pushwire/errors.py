"""What goes wrong, as one exception."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Mapping, Optional

if TYPE_CHECKING:
    from .types import Result

# The answer may be another one the next time.
_PASSING = (408, 425, 429, 502, 503, 504)


class PushwireError(Exception):
    """Why a call failed. `code` is one of the server's (its /docs/errors tells them), `http_502` and the
    like where somebody before it answered, or ours: `unreachable`, `bad_answer`, `closed`.
    """

    def __init__(self, code: str, detail: str, *, status: Optional[int] = None,
                 field: Optional[str] = None, retry_after: Optional[float] = None,
                 request_id: Optional[str] = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status  # of HTTP; None: there was no answer
        self.field = field  # of the message, that is wrong
        self.retry_after = retry_after  # seconds, where the server said so
        self.request_id = request_id  # as in the server's log
        self.results: list[Result] = []  # of send_many: of the messages before

    @property
    def passes(self) -> bool:
        """Whether the same call may succeed later."""
        return self.code in ("unreachable", "in_flight") or self.status in _PASSING


def _seconds(text: Optional[str]) -> Optional[float]:
    """Of Retry-After; the form with a date is left to those who use it."""
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None


def _text(value: Any) -> Optional[str]:
    return value if isinstance(value, str) else None


def of_problem(told: Mapping[str, Any], status: int, retry_after: Optional[str] = None) -> PushwireError:
    """What a problem document, or the result of one line, says."""
    return PushwireError(_text(told.get("code")) or f"http_{status}",
                         _text(told.get("detail")) or f"the answer is {status}",
                         status=status, field=_text(told.get("field")),
                         retry_after=_seconds(retry_after), request_id=_text(told.get("request_id")))


def of_answer(status: int, body: bytes, retry_after: Optional[str]) -> PushwireError:
    """What an answer says that is no 2xx."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    return of_problem(told if isinstance(told, dict) else {}, status, retry_after)
