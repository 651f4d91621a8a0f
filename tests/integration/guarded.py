"""A server with credentials, for tests: keys, secrets and tokens of their own making.

Tokens are made by PyJWT, so that the server's libjose meets another's work.
"""

import hashlib
import pathlib
import secrets
import time

import jwt

SECRET = "s" * 40
OTHER_SECRET = "t" * 40


def key_line(name, key, scope="send", **more):
    """The line of the keys file for a key's text."""
    fields = [name, hashlib.sha256(key.encode()).hexdigest(), f"scope={scope}"]
    fields += [f"{k}={v}" for k, v in more.items()]
    return " ".join(fields) + "\n"


def draw(name):
    return f"pw_{name}_{secrets.token_hex(24)}"


def token(user="ada", ttl=600, secret=SECRET, algorithm="HS256", headers=None, **claims):
    """ttl is from now; ttl=None leaves exp out."""
    if ttl is not None:
        claims["exp"] = claims.get("exp", time.time() + ttl)
    if user is not None:
        claims["sub"] = user
    return jwt.encode(claims, secret, algorithm=algorithm, headers=headers)


def dying_token(user="ada", seconds=1.5, **claims):
    """Its time is over but for the last of the 30 seconds of leeway."""
    return token(user, ttl=seconds - 30, **claims)


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


class Files:
    """Keys and secrets in a folder, and the flags that name them."""

    KEYS = {"sender": {"scope": "send", "sender": "bill"}, "plain": {"scope": "send"},
            "reader": {"scope": "read"}, "manager": {"scope": "manage"},
            "minter": {"scope": "token"},
            "tenant": {"scope": "send,read,manage,token", "prefix": "acme:"},
            "one": {"scope": "read", "prefix": "1"}}

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.keys_file = self.folder / "keys"
        self.secret_file = self.folder / "secrets"
        self.keys = {name: draw(name) for name in self.KEYS}
        self.write_keys()
        self.secret_file.write_text(SECRET + "\n")
        self.args = ("--keys-file", self.keys_file, "--jwt-secret-file", self.secret_file)

    def write_keys(self, more=""):
        self.keys_file.write_text("# keys of these tests\n" + more + "".join(
            key_line(name, key, **self.KEYS[name]) for name, key in self.keys.items()))

    def as_key(self, name):
        return bearer(self.keys[name])


def reload_by(server, signal_number, word="reloaded"):
    """Sends SIGHUP and waits for what it says."""
    from harness import wait_until
    before = sum(word in line for line in server.log)
    server.signal(signal_number)
    wait_until(lambda: sum(word in line for line in server.log) > before, what=word)
