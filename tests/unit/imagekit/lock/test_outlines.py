# SPDX-License-Identifier: Apache-2.0
"""Layers of bases are read once, and what is known of them is true."""

from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path
from typing import BinaryIO

import pytest

from imagekit.errors import IntegrityError
from imagekit.layers.cache import LayerCache
from imagekit.lock.outlines import Outlines
from imagekit.lock.probe import probe
from imagekit.oci.layer import FileLayer, PromisedLayer
from imagekit.oci.store import Store
from tests.fakes.images import file_layer, image_of, raw_layer

FILES = {
    "usr/bin/python3": b"\0" + b"3.11.4\0",
    "usr/lib/libc.so.6": b"stable release version 2.36.",
    "etc/passwd": b"root:x:0:0\n",
}


class Counted:
    """A layer far away: how often it was opened is counted."""

    def __init__(self, layer: FileLayer) -> None:
        self.digest, self.diff_id = layer.digest, layer.diff_id
        self.size_bytes, self.media_type = layer.size_bytes, layer.media_type
        self._layer = layer
        self.opened = 0

    def open(self) -> BinaryIO:
        self.opened += 1
        return self._layer.open()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def layers(tmp_path: Path) -> list[Counted]:
    files = [{f"etc/part-{at}": b"x"} for at in range(5)]
    return [Counted(file_layer(tmp_path, each)) for each in [*files, FILES]]


def test_a_base_that_shares_layers_costs_the_others_alone(
    layers: list[Counted], tmp_path: Path
) -> None:
    """Each layer is read once, by whatever base and process; what is found stays the same."""
    first = probe(Outlines().of(layers), machine="x86_64", search_path=[], python_version=None)
    assert [layer.opened for layer in layers] == [1] * 6
    added = Counted(file_layer(tmp_path, {"etc/passwd": b"added:x:1:1\n"}))
    assert (
        probe(Outlines().of(layers), machine="x86_64", search_path=[], python_version=None) == first
    )
    second = probe(
        Outlines().of([*layers, added]), machine="x86_64", search_path=[], python_version=None
    )
    assert second == dataclasses.replace(first, passwd="added:x:1:1\n")
    assert [layer.opened for layer in [*layers, added]] == [1] * 7


def test_an_interpreter_may_be_as_large_as_they_are(tmp_path: Path) -> None:
    """Debian's has 7 MB."""
    large = {**FILES, "usr/bin/python3": bytes(7 << 20) + FILES["usr/bin/python3"]}
    layer = file_layer(tmp_path, large)
    found = probe(Outlines().of([layer]), machine="x86_64", search_path=[], python_version=None)
    assert found.python_version == "3.11.4"


def test_a_layer_that_comes_twice_is_read_once(layers: list[Counted]) -> None:
    """As two platforms, or one base, may have it."""
    assert len([*Outlines().of([layers[0], layers[0]])]) == 2
    assert layers[0].opened == 1


def test_layers_that_are_here_are_not_fetched(layers: list[Counted], tmp_path: Path) -> None:
    """Those of the layer cache, and those of images in the local store."""
    cached, stored, other = layers[0], layers[1], layers[2]
    with cached.open() as stream:
        LayerCache().keep(PromisedLayer(cached.digest, cached.diff_id, cached.size_bytes), stream)
    Store().add(image_of(file_layer(tmp_path, {"etc/part-1": b"x"})), "base:1")
    cached.opened = 0
    assert len([*Outlines().of([cached, stored, other])]) == 3
    assert [each.opened for each in (cached, stored, other)] == [0, 0, 1]


def test_a_damaged_layer_here_does_not_matter(layers: list[Counted], tmp_path: Path) -> None:
    """The one that it should be is fetched."""
    wanted = layers[0]
    path = tmp_path / "cache/imagekit/layers/blobs/sha256" / wanted.digest[7:]
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(wanted.size_bytes))
    assert [entry.name for entry in next(Outlines().of([wanted]))] == ["etc", "etc/part-0"]
    assert wanted.opened == 1


def test_the_empty_layer_of_old_images_is_not_read(tmp_path: Path) -> None:
    """It is known by its digests; by one of them alone it is not."""
    empty = Counted(raw_layer(tmp_path, bytes(1024)))
    packed = gzip.decompress(bytes.fromhex(
        "1f8b080000096e8800ff621805a360148c5800080000ffff2eafb5ef00040000"))  # fmt: skip
    assert packed == bytes(1024)
    known = Counted(dataclasses.replace(
        file_layer(tmp_path, {}), diff_id=empty.diff_id, size_bytes=32,
        digest="sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4",
    ))  # fmt: skip
    assert [*Outlines().of([known, empty])] == [[]]
    assert (known.opened, empty.opened) == (0, 1)


def test_a_record_of_another_diff_id_is_no_record(layers: list[Counted]) -> None:
    """A config that says something else of a layer is found out."""
    list(Outlines().of([layers[0]]))
    layers[0].diff_id = layers[1].diff_id
    with pytest.raises(IntegrityError, match="its diff_id is not"):
        list(Outlines().of([layers[0]]))


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b garbage", gzip.compress(b"[]\n", mtime=0)])
def test_a_damaged_record_is_made_again(
    layers: list[Counted], tmp_path: Path, damage: bytes
) -> None:
    """Nobody has to clean up."""
    before = [*Outlines().of([layers[0]])]
    record = tmp_path / "cache/imagekit/outlines/sha256" / layers[0].digest[7:]
    record.write_bytes(damage or record.read_bytes()[:-9])
    assert [*Outlines().of([layers[0]])] == before
    assert layers[0].opened == 2
