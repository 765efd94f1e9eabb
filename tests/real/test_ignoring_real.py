# SPDX-License-Identifier: Apache-2.0
""".dockerignore files: what is left out is what Docker leaves out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from imagekit.layers.tree import scan

pytestmark = pytest.mark.docker

NAME = "imagekit-test-ignoring"
PATHS = [
    "a", "b.py", "notes.md", "README.md", ".env", "src/app.py", "src/app.log", "src/deep/app.py",
    "src/deep/x.log", "data/one.bin", "data/keep/two.bin", "x[1].txt", "é/a b", "pages/a/index.md",
]  # fmt: skip
CASES = {
    "names": "# no secrets\n.env\n\n*.md\n!README.md\n",
    "folders": "data\n!data/keep/two.bin\nsrc/deep/\n",
    "crossing": "**/*.log\n**/app.py\n!src/app.py\npages/**/index.md\n",
    "all but": "*\n!src\n!b.py\nsrc/deep\n",
    "odd": "  a  \n/../b.py\n../src\n./notes.md\nx\\[1\\].txt\n?/a b\n**.bin\n",
}


@pytest.mark.parametrize("name", CASES)
def test_what_docker_leaves_out_is_left_out(name: str, tmp_path: Path) -> None:
    """The engine's own `COPY .` has the same files."""
    for path in PATHS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / ".dockerignore").write_text(f"Dockerfile\n{CASES[name]}")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /copied/\n")
    kept = {f"copied/{each.path}" for each in scan(tmp_path, contexts=[tmp_path])
            if each.kind == "file"}  # fmt: skip
    assert kept == copied(tmp_path)


def copied(folder: Path) -> set[str]:
    # The classic builder: BuildKit's client part is a plug-in that few machines have.
    environ = {**os.environ, "DOCKER_BUILDKIT": "0"}
    build = ["docker", "build", "--quiet", "--tag", NAME, str(folder)]
    subprocess.run(build, check=True, capture_output=True, env=environ)
    try:
        saved = subprocess.run(["docker", "save", NAME], check=True, capture_output=True).stdout
    finally:
        subprocess.run(["docker", "rmi", NAME], check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        (layer,) = json.load(manifest)[0]["Layers"]
        with tarfile.open(fileobj=archive.extractfile(layer)) as tar:
            return {member.name for member in tar if member.isfile()}
