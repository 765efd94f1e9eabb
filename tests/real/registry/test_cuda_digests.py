# SPDX-License-Identifier: Apache-2.0
"""`imagekit bases update --cuda FILE`: the digests of NVIDIA's images, as a registry says them."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from imagekit.bases import cuda
from imagekit.cli.main import main
from imagekit.oci.image import Image
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from tests.fakes.registry_server import Server

pytestmark = pytest.mark.registry


def mirror(address: str, image: Image, tags: list[str]) -> None:
    client = RegistryClient()
    for tag in tags:
        client.push(image, RegistryReference.parse(f"{address}:{tag}"))
    client.close()


def test_a_mirrors_digests_are_written_whole_or_not_at_all(
    server: Server, tmp_path: Path, image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every image that there is; where the registry lacks one, the file stays as it was."""
    tags = [each.reference.rpartition(":")[2] for each in cuda.images()]
    address = f"{server.address}/digests/cuda"
    file = tmp_path / "digests.toml"
    file.write_text("as it was")
    update = ["bases", "update", "--cuda", str(file), "--from", address]

    mirror(address, image, tags[:-1])
    assert main(update) == 7
    assert f"{address}:{tags[-1]}: the registry has no such image" in capsys.readouterr().err
    assert file.read_text() == "as it was"

    mirror(address, image, tags[-1:])
    assert main(update) == 0
    assert tomli.loads(file.read_text())["digests"] == dict.fromkeys(tags, image.digest)
