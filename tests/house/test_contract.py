#!/usr/bin/env python3
"""docs/api has every route of the server and every error code of include/base/err.h, and no other."""
import functools
import re
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROUTE = re.compile(r'{\s*"(GET|POST|DELETE|PUT|PATCH)",\s*"(/[^"]*)",.*?(RIGHT_\w+)', re.S)
CODE = re.compile(r'X\([A-Z0-9_]+,\s*"(\w+)",\s*(\d+),\s*(\d+),')
# What each right is called in the documents: scopes of a key, and whether a token will do.
RIGHTS = {
    "RIGHT_OPEN": (None, None),
    "RIGHT_RECEIVE": (None, True),
    "RIGHT_SEND": ("send", True),
    "RIGHT_READ": ("read", False),
    "RIGHT_READ_MESSAGE": ("read", False),
    "RIGHT_READ_USER": ("read", True),
    "RIGHT_READ_CHANNEL": ("read", True),
    "RIGHT_OWN": (None, True),
    "RIGHT_MANAGE": ("manage", False),
    "RIGHT_MANAGE_ALL": ("manage", False),
    "RIGHT_TOKEN": ("token", False),
}


@functools.cache
def load(name):
    return yaml.load((ROOT / "docs/api" / name).read_text(),
                     getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@functools.cache
def routes():
    """{(method, path with its parameters nameless): rights} of the tables of routes."""
    found = {}
    for file in (ROOT / "src").rglob("*.c"):
        for method, path, right in ROUTE.findall(file.read_text()):
            found.setdefault((method, re.sub(r":\w+", "{}", path)), set()).add(right)
    return found


@functools.cache
def operations():
    """{(method, path with its parameters nameless): operation} of openapi.yaml."""
    document = load("openapi.yaml")
    return {(verb.upper(), re.sub(r"{\w+}", "{}", path)): operation
            for path, item in document["paths"].items() for verb, operation in item.items()
            if verb in ("get", "post", "delete", "put", "patch")}


def codes():
    text = (ROOT / "include/base/err.h").read_text().replace("\\\n", " ")
    return {code: int(close) for code, _, close in CODE.findall(text)}


def http_codes(document):
    """{code: status} of the responses."""
    found = {}
    for response in document["components"]["responses"].values():
        content = response.get("content", {}).get("application/problem+json")
        if content:
            told = content["schema"]["allOf"][1]["properties"]
            found.update(dict.fromkeys(told["code"]["enum"], told["status"]["const"]))
    return found


class Documents(unittest.TestCase):
    def test_the_table_of_routes_is_read(self):
        self.assertEqual(routes()["POST", "/send-message"], {"RIGHT_SEND"})
        self.assertGreater(len(routes()), 25)

    def test_openapi_has_every_route_and_no_other(self):
        self.assertEqual(sorted(routes()), sorted(operations()))

    def test_each_route_asks_for_what_openapi_says(self):
        default = load("openapi.yaml")["security"]
        for place, rights in routes().items():
            security = operations()[place].get("security", default)
            scopes = next((ways["key"] for ways in security if "key" in ways), [None])
            token = any("token" in ways for ways in security)
            told = (scopes[0], token if security else None)
            self.assertIn(told, [RIGHTS[right] for right in rights], place)

    def test_asyncapi_has_every_route_that_speaks_frames_or_events(self):
        addresses = {re.sub(r"{\w+}", "{}", channel["address"])
                     for channel in load("asyncapi.yaml")["channels"].values()}
        speaks = {path for method, path in routes()
                  if path == "/" or path.startswith(("/ws", "/rooms", "/sse"))}
        self.assertEqual(addresses, speaks)

    def test_openapi_has_the_codes_of_http_with_their_numbers(self):
        document = load("openapi.yaml")
        listed = set(document["components"]["schemas"]["Code"]["enum"])
        found = http_codes(document)
        text = (ROOT / "include/base/err.h").read_text().replace("\\\n", " ")
        for code, status, _ in CODE.findall(text):
            if code in found:
                self.assertEqual(found[code], int(status), code)
        # A result of POST /send-messages alone, and told by 404 and 405 of no route.
        self.assertEqual(listed - set(found), {"too_many_lines", "method_not_allowed"})
        self.assertLessEqual(listed, set(codes()))

    def test_every_code_is_in_one_of_the_documents(self):
        schemas = load("asyncapi.yaml")["components"]["schemas"]
        closes = load("asyncapi.yaml")["channels"]["session"]["description"]
        told = dict((code, int(close)) for close, code in re.findall(r"- (\d+) `(\w+)`", closes))
        there = set(load("openapi.yaml")["components"]["schemas"]["Code"]["enum"])
        there |= set(schemas["ErrorCode"]["enum"]) | set(schemas["ByeCode"]["enum"]) | set(told)
        self.assertEqual(there, set(codes()))
        for code, close in told.items():
            self.assertEqual(close, codes()[code], code)

    def test_both_are_of_the_version_that_is_built(self):
        version = re.search(r"version: '([\d.]+)'", (ROOT / "meson.build").read_text()).group(1)
        for name in "openapi.yaml", "asyncapi.yaml":
            self.assertEqual(load(name)["info"]["version"], version)


if __name__ == "__main__":
    unittest.main()
