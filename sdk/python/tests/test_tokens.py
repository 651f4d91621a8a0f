"""Tokens, read by another's library."""

import time

import jwt
import pytest

from pushwire import sign_token

SECRET = "s" * 40


def test_a_token_is_what_others_read():
    told = jwt.decode(sign_token(SECRET, "alice", ttl=60, channels=["news"], publish=True), SECRET,
                      algorithms=["HS256"])
    assert told.pop("exp") - told.pop("iat") == 60
    assert told == {"sub": "alice", "channels": ["news"], "publish": True}


def test_it_lasts_an_hour_and_says_for_whom():
    told = jwt.decode(sign_token(SECRET.encode(), "ä", issuer="shop", audience="push", publish=["a"]),
                      SECRET, algorithms=["HS256"], audience="push", issuer="shop")
    assert told["sub"] == "ä" and told["publish"] == ["a"] and told["exp"] > time.time() + 3000


def test_a_short_secret_is_refused():
    with pytest.raises(ValueError):
        sign_token("short", "alice")
