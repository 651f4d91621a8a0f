#!/usr/bin/env python3
"""scripts/check-includes finds what it is there to find."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check-includes"


def check(files):
    """Runs the check over a tree {path: headers it includes}; returns its status and output."""
    with tempfile.TemporaryDirectory() as folder:
        for name, headers in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f'#include "{header}"\n' for header in headers.split()))
        done = subprocess.run([sys.executable, CHECK, folder], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


class CheckIncludes(unittest.TestCase):
    def expect(self, files, status, *texts):
        found, output = check(files)
        self.assertEqual(found, status, output)
        for text in texts:
            self.assertIn(text, output)

    def test_downward_and_sideways_is_fine(self):
        self.expect(
            {"include/base/buf.h": "", "include/model/message.h": "base/buf.h",
             "include/model/session.h": "", "src/model/session.c": "model/session.h model/message.h"},
            0, "3 modules, no circle, nothing upward\n")

    def test_upward_is_told_with_its_line(self):
        self.expect(
            {"include/base/buf.h": "", "include/http/head.h": "",
             "src/base/buf.c": "base/buf.h http/head.h"},
            1, "src/base/buf.c:2: base/buf includes http/head: upward, from base to http")

    def test_circle_over_header_and_source_is_told(self):
        self.expect(
            {"include/model/a.h": "model/b.h", "include/model/b.h": "", "include/model/c.h": "",
             "src/model/b.c": "model/c.h", "src/model/c.c": "model/a.h"},
            1, "circle: model/a -> model/b -> model/c -> model/a")

    def test_requests_and_sockets_know_nothing_of_each_other(self):
        both = {"include/socket/stream.h": "", "include/http/head.h": ""}
        self.expect({**both, "src/http/head.c": "socket/stream.h"}, 1, "know nothing of each other")
        self.expect({**both, "src/socket/stream.c": "http/head.h"}, 1, "upward")
        self.expect({**both, "src/session/sse.c": "http/head.h socket/stream.h"}, 0)

    def test_broker_includes_no_reactor(self):
        self.expect({"include/engine/reactor.h": "", "src/engine/broker_x.c": "engine/reactor.h"},
                    1, "never reactors")

    def test_main_is_the_top(self):
        self.expect({"include/top/server.h": "", "src/main.c": "top/server.h"}, 0)
        self.expect({"include/top/server.h": "", "src/api/x.c": "top/server.h"}, 1, "upward")

    def test_unknown_header_and_floor_are_told(self):
        self.expect({"src/base/buf.c": "base/buff.h"}, 1, '"base/buff.h" is no header of include/')
        self.expect({"src/attic/old.c": ""}, 1, "attic/old: stands on no floor")

    def test_empty_tree_is_no_success(self):
        self.expect({}, 1, "no modules")


if __name__ == "__main__":
    unittest.main()
