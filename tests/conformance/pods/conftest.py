# SPDX-License-Identifier: Apache-2.0
"""The image that all of these pods use, on each engine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagekit.engines.run import CONTAINER_ENGINES
from imagekit.oci.assemble import Settings
from tests.conformance.pods.harness import SCENARIOS, Engine, Scenario
from tests.conftest import missing
from tests.fakes.images import busybox_image

ENGINES = [
    pytest.param("docker", marks=(pytest.mark.docker, pytest.mark.busybox)),
    pytest.param("podman", marks=(pytest.mark.podman, pytest.mark.busybox, pytest.mark.slow)),
]
_AT_A_TIME = 3
"""Pods; they wait more than they work."""
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
    claim = Path(folder) / "claim"
    claim.mkdir()
    (claim / "kept").write_text("kept\n")
    claim.chmod(0o777)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        made = Engine(name, tag, Path(folder) / "cache", claim, pool)
        for play in _wanted(request.session.items, name):
            made.begin(play)
        yield made
    subprocess.run([name, "image", "rm", "--force", found], check=False, capture_output=True)


def _wanted(items: Sequence[pytest.Item], engine: str) -> Iterator[Scenario]:
    """The scenarios that the chosen tests call, in the order of the tests."""
    for item in items:
        if isinstance(item, pytest.Function) and f"[{engine}]" in item.name:
            for name in item.function.__code__.co_names:
                if name in SCENARIOS:
                    yield SCENARIOS[name]
