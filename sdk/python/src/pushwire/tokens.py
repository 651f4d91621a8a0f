"""Tokens for receivers, signed here: for backends that share the server's `jwt_secret_file`."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any, Optional, Sequence, Union


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _pack(value: Any) -> bytes:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def sign_token(secret: Union[str, bytes], user: str, *, ttl: float = 3600,
               channels: Optional[Sequence[str]] = None,
               publish: Union[bool, Sequence[str], None] = None, prefix: Optional[str] = None,
               issuer: Optional[str] = None, audience: Optional[str] = None) -> str:
    """A token with which `user` may receive for `ttl` seconds. `secret` is a line of the server's
    `jwt_secret_file`; `channels` are names or beginnings that end in `*`."""
    secret = secret.encode() if isinstance(secret, str) else secret
    if len(secret) < 32:
        raise ValueError("a secret has at least 32 bytes")
    now = int(time.time())
    claims = {"sub": user, "iat": now, "exp": now + int(ttl), "channels": channels and list(channels),
              "publish": publish if publish is None or isinstance(publish, bool) else list(publish),
              "prefix": prefix, "iss": issuer, "aud": audience}
    head = _pack({"alg": "HS256", "typ": "JWT"})
    signed = head + b"." + _pack({name: value for name, value in claims.items() if value is not None})
    return (signed + b"." + _encode(hmac.digest(secret, signed, "sha256"))).decode()
