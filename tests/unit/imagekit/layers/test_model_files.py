# SPDX-License-Identifier: Apache-2.0
"""Folders of model files as images that nothing is copied for."""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from imagekit.errors import BuildError
from imagekit.layers.model_files import FILE_PATH, FILE_SHA256, pack
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.oci.layout import read_layout, write_layout
from imagekit.oci.validate import validate

SMALL = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    (made / "sub").mkdir(parents=True)
    for number in range(3):
        (made / f"model-{number}.safetensors").write_bytes(os.urandom(5000 + number))
    (made / "config.json").write_text("{}")
    (made / "sub/tokenizer.json").write_text("{}")
    (made / ".cache").write_text("hidden")
    return made


def packed(folder: Path) -> Image:
    return pack(folder, Platform(), small_bytes=SMALL)


def test_each_large_file_is_a_layer_and_the_small_ones_share_one(folder: Path) -> None:
    """Tars that any tool reads, whose digests are theirs."""
    image = packed(folder)
    found = []
    for layer in image.layers:
        with layer.open() as stream:
            data = stream.read()
        assert layer.digest == layer.diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert layer.size_bytes == len(data)
        with layer.open() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            members = [each for each in archive if each.isfile()]
            found.append([each.name for each in members])
    shards = [[f"model-{number}.safetensors"] for number in range(3)]
    assert found == [["config.json", "sub/tokenizer.json"], *shards]


def test_the_same_files_make_the_same_image(folder: Path, tmp_path: Path) -> None:
    """Elsewhere, at another time, by links, and with another mode."""
    other = tmp_path / "other"
    (other / "sub").mkdir(parents=True)
    for file in sorted(folder.rglob("*.*"), reverse=True):
        if file.is_file():
            (other / file.relative_to(folder)).symlink_to(file)
            file.chmod(0o600)
            os.utime(file, (1, 1))
    assert packed(other).digest == packed(folder).digest


def test_one_changed_shard_changes_its_own_layer_alone(folder: Path) -> None:
    """The others are known to every registry that has the first image."""
    before = {layer.digest for layer in packed(folder).layers}
    (folder / "model-1.safetensors").write_bytes(os.urandom(5001))
    assert len({layer.digest for layer in packed(folder).layers} - before) == 1


def test_a_layer_can_be_entered_anywhere(folder: Path) -> None:
    """An upload goes on where it broke off."""
    layer = packed(folder).layers[1]
    with layer.open() as stream:
        whole = stream.read()
    for start in (0, 1, 511, 512, 700, len(whole) - 1, len(whole)):
        with layer.open() as stream:
            stream.seek(start)
            assert stream.read() == whole[start:]


def test_the_manifest_says_which_file_a_layer_is(folder: Path) -> None:
    """So that a lock needs no weights."""
    (entry,) = (
        each
        for each in packed(folder).manifest.objects("layers")
        if each.text_map("annotations").get(FILE_PATH) == "model-1.safetensors"
    )
    content = (folder / "model-1.safetensors").read_bytes()
    assert entry.text_map("annotations")[FILE_SHA256] == hashlib.sha256(content).hexdigest()


def test_it_is_an_image_like_any_other(folder: Path, tmp_path: Path) -> None:
    """Written, read and validated as one."""
    image = packed(folder)
    write_layout(image, tmp_path / "layout", "latest")
    read = read_layout(tmp_path / "layout")
    assert read.digest == image.digest
    validate(read)


def test_a_file_that_changes_meanwhile_is_an_error(folder: Path) -> None:
    """Never an image of half of it."""
    image = packed(folder)
    (folder / "model-2.safetensors").write_bytes(b"short")
    with pytest.raises(BuildError, match="changed while it was read"), image.layers[3].open() as it:
        it.read()


def test_folders_that_make_no_image_are_refused(tmp_path: Path) -> None:
    """Empty ones, and those of too many large files."""
    with pytest.raises(BuildError, match="no files"):
        pack(tmp_path, Platform())
    for number in range(121):
        (tmp_path / f"{number}.bin").write_bytes(b"x" * 20)
    with pytest.raises(BuildError, match="121 large files"):
        pack(tmp_path, Platform(), small_bytes=10)
