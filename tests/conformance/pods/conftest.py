# SPDX-License-Identifier: Apache-2.0
"""The image that all of these pods use, on each engine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.engines.run import CONTAINER_ENGINES
from imagekit.oci.assemble import Settings
from tests.conformance.pods.harness import Engine
from tests.conftest import missing
from tests.fakes.images import busybox_image

ENGINES = [
    pytest.param("docker", marks=(pytest.mark.docker, pytest.mark.busybox)),
]
_SETTINGS = Settings(
    entrypoint=["/bin/sh", "-c", 'echo "entrypoint: $*"', "name"],
    command=["from", "cmd"],
    environment={"FROM_IMAGE": "image", "PATH": "/bin"},
    workdir="/tmp",
)


@pytest.fixture(scope="session", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One for all tests, as a pod's run is looked at by several."""
    name = request.param
    for marker in (name, "busybox"):
        if missing(marker) is not None:
            pytest.skip(f"{marker}: {missing(marker)}")
    folder = tmp_path_factory.mktemp(name)
    found = CONTAINER_ENGINES[name](os.environ).have(busybox_image(folder, _SETTINGS))
    tag = f"localhost/imagekit/pods-test-{os.getpid()}:1"
    subprocess.run([name, "tag", found, tag], check=True, capture_output=True)
    yield Engine(name, tag, Path(folder) / "cache")
    subprocess.run([name, "image", "rm", "--force", found], check=False, capture_output=True)
