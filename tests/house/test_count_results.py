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
NODE = """<?xml version="1.0"?><testsuites><testcase name="alone" classname="test"/>
<testsuite name="some"><testcase name="fails" classname="test"><failure/></testcase></testsuite>
</testsuites>"""


class CountResults(unittest.TestCase):
    def test_passed_failed_skipped_and_the_names_of_the_failed(self):
        self.assertEqual(self.count(REPORT, REPORT), "2 4 2\n" + "one fails\ntwo breaks\n" * 2)

    def test_a_report_of_node(self):
        self.assertEqual(self.count(NODE), "1 1 0\ntest fails\n")

    @staticmethod
    def count(*reports):
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, f"{number}.xml") for number in range(len(reports))]
            for path, report in zip(paths, reports):
                path.write_text(report)
            return subprocess.check_output([sys.executable, COUNT, *paths], text=True)


if __name__ == "__main__":
    unittest.main()
