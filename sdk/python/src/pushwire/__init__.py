"""Sends messages by a Pushwire server. Each arrives once, whatever happens on the way: a message has a
key, and what was not answered is sent again with the same key.

    from pushwire import Pushwire

    push = Pushwire("http://localhost:8000", sender="shop")
    push.send("alice", {"title": "Your order is on its way", "url": "/orders/7"})

Nothing but the standard library is needed. `AsyncPushwire` is the same for asyncio.
"""

from .aio import AsyncPushwire
from .client import Pushwire
from .errors import PushwireError
from .tokens import sign_token
from .types import Gap, Outgoing, Page, Presence, Result, Sent, Stored, Token

__all__ = ["AsyncPushwire", "Gap", "Outgoing", "Page", "Presence", "Pushwire", "PushwireError", "Result",
           "Sent", "Stored", "Token", "sign_token"]
