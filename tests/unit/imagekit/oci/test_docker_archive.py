# SPDX-License-Identifier: Apache-2.0
"""Docker archives, as we write them and as engines do."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagekit.errors import BuildError, IntegrityError
from imagekit.oci.archive import write_docker_archive
from imagekit.oci.descriptor import Platform
from imagekit.oci.docker_archive import read_docker_archive
from imagekit.oci.image import Image
from imagekit.oci.validate import validate
from tests.fakes.images import file_layer, image_of


@pytest.fixture
def image(tmp_path: Path) -> Image:
    layer = file_layer(tmp_path, {"etc/one": b"1" * 5000})
    return image_of(layer, file_layer(tmp_path, {"two": b"2"}), layer)


def test_what_was_written_comes_back(image: Image, tmp_path: Path) -> None:
    """The same config and the same layers, with their digests proved."""
    write_docker_archive(image, tmp_path / "image.tar", ["x:y"])
    back = read_docker_archive(tmp_path / "image.tar", "x:y", Platform())
    validate(back)
    assert back.config_bytes == image.config_bytes
    assert [layer.digest for layer in back.layers] == [layer.digest for layer in image.layers]


def as_docker_saves(image: Image, path: Path, replaced: Mapping[str, bytes]) -> None:
    """Layers uncompressed, each written once; where it comes again, a link to the first."""
    names: list[str] = []
    with tarfile.open(path, "w") as archive:
        written: dict[str, str] = {}
        for at, layer in enumerate(image.layers):
            member = tarfile.TarInfo(f"{at}/layer.tar")
            with layer.open() as stream:
                tar = gzip.decompress(stream.read())
            if layer.diff_id in written:
                member.type, member.linkname = tarfile.SYMTYPE, f"../{written[layer.diff_id]}"
            else:
                member.size = len(tar)
                written[layer.diff_id] = member.name
            archive.addfile(member, io.BytesIO(tar))
            names.append(member.name)
        listing = [{"Config": "c.json", "RepoTags": ["x:y"], "Layers": names}]
        small = {"c.json": image.config_bytes, "manifest.json": json.dumps(listing).encode()}
        for name, data in {**small, **replaced}.items():
            made = tarfile.TarInfo(name)
            made.size = len(data)
            archive.addfile(made, io.BytesIO(data))


def test_what_docker_saves_is_read(image: Image, tmp_path: Path) -> None:
    """Plain layers, and links where a layer comes twice."""
    as_docker_saves(image, tmp_path / "image.tar", {})
    back = read_docker_archive(tmp_path / "image.tar")
    validate(back)
    assert [layer.diff_id for layer in back.layers] == [layer.diff_id for layer in image.layers]


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        ({"manifest.json": b"{}"}, "not a list"),
        ({"manifest.json": b"["}, "not JSON"),
        ({"manifest.json": b'[{"Config": "gone", "Layers": []}]'}, "missing"),
        ({"manifest.json": b'[{"Config": "c.json", "Layers": ["0/layer.tar"]}]'}, "diff_ids"),
    ],
)
def test_a_damaged_archive_is_told(
    image: Image, tmp_path: Path, replaced: Mapping[str, bytes], said: str
) -> None:
    """Each with what is wrong with it."""
    as_docker_saves(image, tmp_path / "image.tar", replaced)
    with pytest.raises(IntegrityError, match=said):
        read_docker_archive(tmp_path / "image.tar")


def test_names_choose_among_images(image: Image, tmp_path: Path) -> None:
    """A name that is not there, another platform, and another kind of tar are refused."""
    path = tmp_path / "image.tar"
    as_docker_saves(image, path, {})
    with pytest.raises(BuildError, match=r"no image 'z:1'") as caught:
        read_docker_archive(path, "z:1")
    assert caught.value.hint == "it has: x:y"
    with pytest.raises(BuildError, match="linux/arm64"):
        read_docker_archive(path, None, Platform("linux", "arm64"))
    with tarfile.open(path, "w"):
        pass
    with pytest.raises(BuildError, match="not a Docker archive"):
        read_docker_archive(path)
