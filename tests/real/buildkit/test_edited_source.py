# SPDX-License-Identifier: Apache-2.0
"""What an edited source file costs beside the worker's own time, counted and not timed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from imagekit.buildkit.endpoint import find_endpoint
from tests.fakes.engine_pipe import asked_engine
from tests.real.builds import Host
from tests.unit.imagekit.receipts.program import Ran, run

pytestmark = [pytest.mark.docker, pytest.mark.network]

OURS_AT_MOST = 162
"""Modules of imagekit that such a build loads; it was 154 when this was written."""

UNNEEDED = {
    "email",
    "http.client",
    "jinja2",
    "requests",
    "isal",
    "deflate",
    "tarfile",
    "zipfile",
    "csv",
}
OURS_UNNEEDED = (
    "imagekit.registry.",
    "imagekit.builders.native",
    "imagekit.engines",
    "imagekit.oci.archive",
)
NAME = "imagekit-test/edited"


def test_it_loads_and_asks_no_more_than_it_needs(host: Host, tmp_path: Path) -> None:
    """No template engine, registry client or other builder; five requests to the engine."""
    (tmp_path / "src").mkdir()
    spec = {"name": NAME, "python_version": "3.11", "object_storage": False}
    builder = {"source_root": "src", "builder": "docker"}
    (tmp_path / "spec.yaml").write_text(json.dumps({**spec, **builder}))
    with asked_engine(find_endpoint(os.environ), tmp_path) as (url, asked):

        def build(text: str) -> Ran:
            (tmp_path / "src/task.py").write_text(text)
            asked.clear()
            environ = {**host.variables, "DOCKER_HOST": url}
            ran = run("build", "spec.yaml", cwd=tmp_path, environ=environ)
            assert ran.code == 0, ran.stderr
            return ran

        try:
            for number in range(2):
                build(f"x = {number}")
            ran = build("x = 3")
        finally:
            listed = ["docker", "images", "--quiet", NAME]
            found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
            command = ["docker", "rmi", "--force", *found.split()]
            subprocess.run(command, capture_output=True, check=False)
    assert not ran.from_receipt
    ours = [name for name in ran.modules if name.startswith("imagekit")]
    assert len(ours) <= OURS_AT_MOST
    assert [name for name in ours if name.startswith(OURS_UNNEEDED)] == [
        "imagekit.registry.reference"
    ]
    assert UNNEEDED & {*ran.modules} == set()
    kinds = [line.partition("/images/")[0] + "/images" * ("/images/" in line) for line in asked]
    assert kinds == ["GET /_ping", "GET /images", "POST /grpc", "POST /session", "GET /images"]
