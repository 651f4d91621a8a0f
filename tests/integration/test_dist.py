"""A tarball brings the page built, and a server comes of it without Node."""

import os
import subprocess
import tarfile

import pytest

from harness import ROOT


@pytest.fixture
def tarball():
    if not (ROOT / ".git").exists() or not (ROOT / "build-frontend/index.html").exists():
        pytest.skip("needs the repository, and the page built")
    done = subprocess.run(["scripts/dist"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return ROOT / done.stdout.strip()


def test_a_tarball_brings_the_page_built(tarball, tmp_path):
    with tarfile.open(tarball) as packed:
        packed.extractall(tmp_path)
    (root,) = tmp_path.iterdir()
    assert (root / "build-frontend/index.html").read_bytes() == \
        (ROOT / "build-frontend/index.html").read_bytes()
    assert (root / "build-frontend/client.js").exists()
    assert (root / "src/main.c").exists() and not (root / "frontend/node_modules").exists()
    # Without Node: it is there already, and nothing is said.
    tools = {"PATH": "/nowhere:" + os.defpath, "HOME": str(tmp_path)}
    done = subprocess.run([str(root / "scripts/frontend")], env=tools, capture_output=True,
                          text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
