"""Alerts and dashboard: they ask for what /metrics has, and each alert comes when it should."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from harness import DEADLINE, ROOT

RULES = ROOT / "packaging/prometheus/pushwire.rules.yaml"
DASHBOARD = ROOT / "packaging/grafana/pushwire.json"
NAME = re.compile(r"\b((?:pushwire|process)_[a-z_]+)\b")


def alerts():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions():
    board = json.loads(DASHBOARD.read_text())
    targets = [t["expr"] for panel in board["panels"] for t in panel.get("targets", [])]
    asked = [v["query"]["query"] for v in board["templating"]["list"] if v["type"] == "query"]
    noted = [a["expr"] for a in board["annotations"]["list"]]
    return [rule["expr"] for rule in alerts()] + targets + asked + noted


def test_every_metric_they_ask_for_is_there(server):
    server.send()
    server.http.get("/nowhere")
    text = server.http.get("/metrics").text
    there = set(re.findall(r"^([a-z_]+)[{ ]", text, re.M))
    # Of these a line comes once there was one.
    there |= {"pushwire_closed_total"} if "# TYPE pushwire_closed_total" in text else set()
    asked = {name for text in expressions() for name in NAME.findall(text)}
    assert len(asked) > 20
    assert asked <= there, asked - there


def test_every_label_they_ask_for_is_there(server):
    codes = set(re.findall(r'X\([A-Z0-9_]+, "(\w+)"', (ROOT / "include/base/err.h").read_text()))
    for text in expressions():
        for words in re.findall(r'code=~"([^"]+)"', text):
            assert set(words.split("|")) <= codes


def test_every_alert_says_what_to_do():
    page = (ROOT / "docs/operating.md").read_text()
    for rule in alerts():
        assert rule["alert"] in page
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert {"summary", "description"} <= set(rule["annotations"])
        assert rule["alert"] in RULES.with_suffix(".test.yaml").read_text()


@pytest.mark.skipif(not shutil.which("promtool"), reason="there is no promtool")
def test_each_alert_comes_when_it_should():
    for args in (["check", "rules", RULES], ["test", "rules", RULES.with_suffix(".test.yaml")]):
        done = subprocess.run(["promtool", *args], capture_output=True, text=True, timeout=2 * DEADLINE)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("promtool"), reason="there is no promtool")
def test_promtool_finds_nothing_wrong_with_metrics(server):
    server.send()
    done = subprocess.run(["promtool", "check", "metrics"], input=server.http.get("/metrics").text,
                          capture_output=True, text=True, timeout=DEADLINE)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
