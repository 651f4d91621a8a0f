"""Compose file, manifest and Containerfile: what they tell the server, it understands."""

import re

import yaml

from harness import ROOT, run_binary

COMPOSE = yaml.safe_load((ROOT / "packaging/compose.yaml").read_text())
MANIFEST = list(yaml.safe_load_all((ROOT / "packaging/kubernetes/pushwire.yaml").read_text()))
CONTAINERFILE = (ROOT / "packaging/image/Containerfile").read_text()


def pod():
    return next(part for part in MANIFEST if part["kind"] == "StatefulSet")["spec"]["template"]["spec"]


def understood(environment):
    done = run_binary("--print-config", env=environment)
    assert done.returncode == 0, done.stderr


def test_their_variables_are_known():
    image = dict(word.split("=", 1) for word in
                 re.search(r"^ENV (.*)$", CONTAINERFILE, re.M)[1].split())
    assert image["PUSHWIRE_DATA_DIR"] == re.search(r"^VOLUME (\S+)$", CONTAINERFILE, re.M)[1]
    container, = pod()["containers"]
    understood({**image, **COMPOSE["services"]["pushwire"]["environment"]})
    understood({**image, **{row["name"]: row["value"] for row in container["env"]}})


def test_the_manifest_asks_what_the_server_answers(server):
    container, = pod()["containers"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert server.http.get(container[probe]["httpGet"]["path"]).status_code == 200
    ports = {port["name"] for port in container["ports"]}
    service = next(part for part in MANIFEST if part["kind"] == "Service")
    assert {port["targetPort"] for port in service["spec"]["ports"]} == ports


def test_nothing_runs_as_root_or_writes_elsewhere():
    container, = pod()["containers"]
    assert pod()["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert COMPOSE["services"]["pushwire"]["read_only"]
    assert re.search(r"^USER 65532:65532$", CONTAINERFILE, re.M)
    assert not pod()["enableServiceLinks"]


def test_there_is_time_to_stop():
    found = run_binary("--print-config", env={"PUSHWIRE_DRAIN_DELAY": "5s"}).stdout
    seconds = sum(int(re.search(rf"^{key}: (\d+)s", found, re.M)[1]) for key in
                  ("drain", "drain_delay")) + 5
    assert pod()["terminationGracePeriodSeconds"] > seconds
