"""Chromium, driven by Playwright (npm/chromium.mjs): for pages as people use them.

test_browser.py has its own driver, over the DevTools protocol, which needs no Node."""

import json
import shutil
import subprocess

import pytest

from harness import DEADLINE, wait_until
from node import node_in_place, spawn


class Chromium:
    def __init__(self, command, node):
        self.process = spawn(node, "chromium.mjs", command, str(int(DEADLINE * 1000)))
        self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        assert line, "the driver ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def do(self, page, at, method, *args):
        self.process.stdin.write(json.dumps([page, at, method, args]) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def open(self, url, **options):
        """beside: a page whose profile it shares; all else is of Playwright's newContext."""
        if "beside" in options:
            options["beside"] = options["beside"].number
        return Page(self, self.do(None, None, "open", url, options))

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Page:
    """at is a selector of Playwright's: CSS, `role=button[name="Send"]`, `text=…`."""

    def __init__(self, browser, number):
        self.browser, self.number = browser, number

    def do(self, method, *args, at=None):
        return self.browser.do(self.number, at, method, *args)

    def click(self, at):
        self.do("click", at=at)

    def fill(self, at, text):
        self.do("fill", text, at=at)

    def shows(self, at):
        self.do("waitFor", at=at)

    def hides(self, at):
        self.do("waitFor", {"state": "hidden"}, at=at)

    def text(self, at):
        return self.do("innerText", at=at)

    def texts(self, at):
        return self.do("allInnerTexts", at=at)

    def run(self, script):
        return self.do("evaluate", script)

    def until(self, script):
        """What a script asks of an element that is not there yet, is not so yet."""
        asked = (f"(() => {{ try {{ return ({script}) }} catch (error) {{"
                 " if (error instanceof TypeError) return false; throw error } })()")
        wait_until(lambda: self.run(asked), what=script)

    def press(self, *keys):
        for key in keys:
            self.do("press", key)

    def complaints(self):
        """What the console showed as warning or error, and exceptions."""
        return self.do("complaints")

    def close(self):
        self.do("close")


def open_chromium():
    command = shutil.which("chromium") or shutil.which("chromium-browser")
    if not command:
        pytest.skip("chromium is not installed")
    return Chromium(command, node_in_place())
