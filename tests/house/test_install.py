#!/usr/bin/env python3
"""`meson setup` with its defaults asks for what the server needs and no more, and `meson install`
brings what belongs to it."""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Installed below the prefix, as the tail of its name.
INSTALLED = [
    "/bin/pushwire",
    "/share/man/man1/pushwire.1",
    "/share/man/man5/pushwire.yaml.5",
    "/share/bash-completion/completions/pushwire",
    "/share/zsh/vendor-completions/_pushwire",
    "/share/fish/vendor_completions.d/pushwire.fish",
    "/etc/pushwire/pushwire.yaml",
    "/sysusers.d/pushwire.conf",
    "/systemd/system/pushwire.service",
    "/systemd/system/pushwire.socket",
]

# As where scripts/setup was told `run`.
PKG_CONFIG = """#!/bin/sh
case "$*" in *cmocka*) exit 1 ;; esac
exec pkg-config "$@"
"""


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        wrapper = Path(cls.folder.name, "pkg-config")
        wrapper.write_text(PKG_CONFIG)
        wrapper.chmod(0o755)
        cls.build = Path(cls.folder.name, "build")
        cls.done = subprocess.run(["meson", "setup", "--prefix=/usr", cls.build, ROOT],
                                  env={**os.environ, "PKG_CONFIG": str(wrapper)},
                                  capture_output=True, text=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def introspect(self, what):
        return json.loads(subprocess.check_output(["meson", "introspect", f"--{what}", self.build]))

    def test_no_package_of_the_tests_is_needed(self):
        self.assertEqual(self.done.returncode, 0, self.done.stdout + self.done.stderr)
        self.assertNotIn("test_config", [target["name"] for target in self.introspect("targets")])

    def test_everything_is_installed(self):
        places = list(self.introspect("installed").values())
        for place in INSTALLED:
            self.assertTrue(any(p.endswith(place) for p in places), f"{place} in {places}")


if __name__ == "__main__":
    unittest.main()
