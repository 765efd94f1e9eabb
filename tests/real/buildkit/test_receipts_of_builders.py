# SPDX-License-Identifier: Apache-2.0
"""A build by the docker builder that would do nothing is answered from its receipt."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.real.builds import Host
from tests.unit.imagekit.receipts.program import Ran, run

pytestmark = [pytest.mark.docker, pytest.mark.network]


def test_it_is_answered_while_the_engine_has_the_image(host: Host, tmp_path: Path) -> None:
    """And built where that is gone, where a file is another, and where it is forced."""
    (tmp_path / "src").mkdir()
    source = tmp_path / "src/task.py"
    source.write_text("x = 1")
    spec = {
        "name": "imagekit-test/receipt",
        "python_version": "3.11",
        "object_storage": False,
        "source_root": "src",
        "builder": "docker",
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))

    def build(*words: str) -> Ran:
        ran = run("build", "spec.yaml", *words, cwd=tmp_path, environ=host.variables)
        assert ran.code == 0, ran.stderr
        return ran

    build()
    first = build()  # the first one wrote the lock, so it left no receipt
    name = first.stdout.split()[0]
    try:
        again = build()
        assert again.from_receipt
        assert again.stdout == first.stdout
        assert not any(each.startswith("grpc") for each in again.modules)
        for _ in range(2):
            assert not build("--force").from_receipt
        subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=True)
        assert not build().from_receipt
        assert build().from_receipt
        source.write_text("x = 2")
        other = build()
        assert not other.from_receipt
        assert other.stdout != first.stdout
    finally:
        listed = ["docker", "images", "--quiet", "imagekit-test/receipt"]
        found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["docker", "rmi", "--force", *found], capture_output=True, check=False)
