#!/usr/bin/env python3
"""What a refusal, a log line or a page tells one to do can be done: each flag and each key of the
configuration that is named there exists."""
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STRING = re.compile(r'(?:"(?:[^"\\\n]|\\.)*"\s*)+')
FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]+)")
KEY = re.compile(r"(?<![\w.<$/-])[a-z]+(?:_[a-z]+)+(?![\w(/.])")
# Whose strings are SQL, or the format of metrics.
OTHERS = re.compile(r"^(sqlite_.*|mail_index|remnants|retention|metrics)\.")
# Names of the wire.
WIRE = {"too_large", "last_seen", "sent_at", "expires_at", "retry_ms", "user_id", "request_id"}


def keys():
    text = (ROOT / "include/config/config_table.h").read_text()
    return set(re.findall(r"^\s*X\([A-Z]+, (\w+),", text, re.M))


def codes():
    text = (ROOT / "include/base/err.h").read_text().replace("\\\n", " ")
    return set(re.findall(r'X\([A-Z0-9_]+,\s*"(\w+)"', text))


def words():
    """The flags that are no keys: of the command line itself, and behind a word."""
    found = {"config", "help", "version", "check-config", "print-config"}
    for file in (ROOT / "src/top").glob("*.c"):
        found |= set(re.findall(r'{"--([a-z-]+)"', file.read_text()))
    return found


def sentences():
    """(file, text) of each string with a blank in it: what people read."""
    for file in sorted((ROOT / "src").rglob("*.c")) + sorted((ROOT / "include").rglob("*.h")):
        for match in STRING.finditer(file.read_text()):
            text = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', match.group()))
            text = text.replace(r"\n", " ").replace(r'\"', '"')
            if " " in text.strip():
                yield file.name, text
    for page in "errors.md", "security.md", "durability.md":
        for match in re.finditer(r"`([^`\n]+)`", (ROOT / "docs" / page).read_text()):
            yield page, match.group(1)


class Remedies(unittest.TestCase):
    def test_the_table_is_read(self):
        self.assertIn("max_message", keys())
        self.assertIn("bad_field", codes())
        self.assertIn("scope", words())

    def test_every_flag_that_is_named_exists(self):
        flags = {key.replace("_", "-") for key in keys()} | words()
        for file, text in sentences():
            for flag in FLAG.findall(text):
                if flag not in ("data-binary", "key"):  # curl's; the example of --help
                    self.assertIn(flag, flags, f"{file}: {text}")

    def test_every_key_that_is_named_exists(self):
        known = keys() | codes() | WIRE
        for file, text in sentences():
            for key in KEY.findall(text) if not OTHERS.search(file) else ():
                if not key.startswith(("pushwire_", "process_")):  # metrics
                    self.assertIn(key, known, f"{file}: {text}")


if __name__ == "__main__":
    unittest.main()
