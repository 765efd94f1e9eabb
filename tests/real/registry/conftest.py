# SPDX-License-Identifier: Apache-2.0
"""What the tests with a real docker-registry share."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.oci.image import Image
from imagekit.oci.layer import FileLayer
from imagekit.registry.access import Access, Pace
from tests.fakes.images import file_layer, image_of
from tests.fakes.registry_server import Server, registry

PACE = Pace(first_seconds=0.01)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests: each uses repositories of its own name."""
    with registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def access(tmp_path: Path) -> Access:
    """Of a user without any configuration."""
    return Access(
        environ={"DOCKER_CONFIG": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}, pace=PACE
    )


@pytest.fixture
def layers(tmp_path: Path, request: pytest.FixtureRequest) -> list[FileLayer]:
    """Three, of bytes that no other test has: else the registry would have them already."""
    source = random.Random(request.node.nodeid)
    sizes = (1_000, 300_000, 3_000_000)
    return [file_layer(tmp_path, {f"file-{size}": source.randbytes(size)}) for size in sizes]


@pytest.fixture
def image(layers: list[FileLayer]) -> Image:
    return image_of(*layers)
