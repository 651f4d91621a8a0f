#!/usr/bin/env python3
"""What the pages of docs/ say of the error codes is what include/base/err.h says, and they are shown as
they are meant."""
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r'X\([A-Z0-9_]+,\s*"(\w+)",\s*(\d+),\s*(\d+),\s*"([^"]+)"\)')


def table():
    """Returns {code: (HTTP status, close code)}."""
    text = (ROOT / "include/base/err.h").read_text().replace("\\\n", " ")
    return {code: (status, close) for code, status, close, _ in ROW.findall(text)}


class ErrorPages(unittest.TestCase):
    def test_every_code_has_its_section(self):
        sections = re.findall(r"^## (\w+)$", (ROOT / "docs/errors.md").read_text(), re.M)
        self.assertEqual(sorted(sections), sorted(table()))

    def test_the_contract_lists_every_code_with_its_numbers(self):
        rows = re.findall(r"^\| `(\w+)` \| (\d+|-) \| (\d+|-) \|", (ROOT / "docs/wire.md").read_text(),
                          re.M)
        self.assertEqual(sorted(code for code, *_ in rows), sorted(table()))
        for code, status, close in rows:
            self.assertIn(status, (table()[code][0], "-"), code)
            self.assertIn(close, (table()[code][1], "-"), code)


class Pages(unittest.TestCase):
    def test_a_number_at_the_begin_of_a_paragraph_makes_no_list(self):
        for page in sorted((ROOT / "docs").glob("*.md")):
            numbers = re.findall(r"(?<=\n\n)(\d+)[.)] ", page.read_text())
            self.assertEqual([n for n in numbers if n != "1"], [], page.name)


if __name__ == "__main__":
    unittest.main()
