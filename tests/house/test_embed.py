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


def embed_site(built):
    """Runs it over a small tree and what was built of it, {path: content}; returns its status, the
    paths of the table with their types, and the file that says what was read."""
    tree = {"docs/pages.json": '{"about":"It is.","pages":[{"name":"wire","file":"docs/wire.md",'
                               '"title":"Wire","about":"all"}]}',
            "docs/wire.md": "# Wire", "docs/api/openapi.yaml": "a", "docs/api/asyncapi.yaml": "b",
            **{f"built/{path}": content for path, content in built.items()}}
    with tempfile.TemporaryDirectory() as folder:
        for path, content in tree.items():
            Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, path).write_text(content)
        output, read = Path(folder, "out.c"), Path(folder, "out.d")
        subprocess.run([sys.executable, EMBED, "--site", output, read, folder,
                        *([Path(folder, "built")] if built else [])], check=True)
        rows = re.findall(r'^{"(/[^"]*)", {\n +.content_type = "([^;"]+)', output.read_text(), re.M)
        return rows, read.read_text().replace(folder, "")


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

    def test_the_site_is_in_order_and_knows_what_it_was_made_of(self):
        rows, read = embed_site({"docs/wire.html": "<style>p{}</style>", "docs.html": "<p>",
                                 "openapi.json": "{}"})
        self.assertEqual(rows, [
            ("/asyncapi.yaml", "application/yaml"), ("/docs", "text/html"),
            ("/docs/wire", "text/html"), ("/docs/wire.md", "text/markdown"),
            ("/llms.txt", "text/plain"), ("/openapi.json", "application/json"),
            ("/openapi.yaml", "application/yaml")])
        for name in "/docs/pages.json", "/docs/wire.md", "/built/docs/wire.html":
            self.assertIn(name, read.split())

    def test_without_node_markdown_stands_in_for_the_pages(self):
        rows = dict(embed_site({})[0])
        self.assertEqual(rows["/docs/wire"], "text/markdown")
        self.assertEqual(rows["/docs"], "text/plain")
        self.assertNotIn("/openapi.json", rows)

    def test_a_page_without_script_admits_none(self):
        status, source = embed("a.html", "<style>p{}</style>")
        self.assertEqual(status, 0)
        self.assertNotIn("script-src", source)
        self.assertNotIn("connect-src", source)

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
