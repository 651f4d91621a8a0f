#!/usr/bin/env python3
"""scripts/count-results counts each test once."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

COUNT = Path(__file__).resolve().parents[2] / "scripts" / "count-results"
REPORT = """<?xml version="1.0"?><testsuites><testsuite name="one">
<testcase classname="one" name="fine"/><testcase classname="one" name="skips"><skipped/></testcase>
<testcase classname="one" name="fails"><failure>no</failure></testcase>
</testsuite><testsuite name="two"><testcase name="breaks"><error/></testcase></testsuite></testsuites>
"""


class CountResults(unittest.TestCase):
    def test_passed_failed_skipped_and_the_names_of_the_failed(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "report.xml")
            path.write_text(REPORT)
            words = [sys.executable, COUNT, path, path]
            output = subprocess.check_output(words, text=True)
        self.assertEqual(output, "2 4 2\n" + "one fails\ntwo breaks\n" * 2)


if __name__ == "__main__":
    unittest.main()
