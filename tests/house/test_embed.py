#!/usr/bin/env python3
"""scripts/embed makes C of a file, and refuses a page that its own policy would break."""
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

EMBED = Path(__file__).resolve().parents[2] / "scripts" / "embed"
PAGE = "<!doctype html><style>p{}</style><p>hi</p><script>go()</script>"


def embed(name=None, content=""):
    """Runs it over such a file; returns its status and the C source, or what it complains of."""
    with tempfile.TemporaryDirectory() as folder:
        output, words = Path(folder, "out.c"), []
        if name:
            words = [Path(folder, name)]
            words[0].write_text(content)
        done = subprocess.run([sys.executable, EMBED, "thing", output, *words],
                              capture_output=True, text=True)
        return done.returncode, output.read_text() if output.exists() else done.stderr


class Embed(unittest.TestCase):
    def test_bytes_and_their_gzipped_form_have_an_etag_each(self):
        status, source = embed("a.js", "AB")
        self.assertEqual(status, 0)
        self.assertIn("plain[] = {\n    65,66,\n};", source)
        self.assertIn("zipped[] = {\n    31,139,", source)
        self.assertEqual(len(set(re.findall(r'"\\"[0-9a-f]{16}\\""', source))), 2)
        self.assertIn("text/javascript", source)

    def test_the_same_file_makes_the_same_source(self):
        self.assertEqual(embed("a.md", "x"), embed("a.md", "x"))

    def test_no_file_is_none(self):
        self.assertIn("const struct embedded thing = {0};", embed()[1])

    def test_the_policy_of_a_page_admits_its_own_blocks(self):
        status, source = embed("a.html", PAGE)
        self.assertEqual(status, 0)
        self.assertRegex(source, r"script-src 'sha256-[^']+'; style-src 'sha256-[^']+'")

    def test_what_the_policy_would_block_is_told(self):
        for more in ('<p style="x">', '<p onclick="x">', '<script src="x"></script>',
                     "<script></script>"):
            status, message = embed("a.html", PAGE + more)
            self.assertEqual(status, 1, more)
            self.assertRegex(message, "blocked by the policy|must have one")


if __name__ == "__main__":
    unittest.main()
