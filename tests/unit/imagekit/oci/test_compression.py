# SPDX-License-Identifier: Apache-2.0
"""Layers compressed with zstd: read, held to their digests, and bounded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imagekit.errors import IntegrityError
from imagekit.oci import digest
from imagekit.oci.compression import uncompressed
from imagekit.oci.layer import FileLayer
from imagekit.oci.media_types import ZSTD_LAYER

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TAR = b"a layer's bytes" * 1000


def layer(folder: Path, data: bytes, tar: bytes = TAR) -> FileLayer:
    (folder / "layer").write_bytes(data)
    known = digest.of_bytes(data), digest.of_bytes(tar), len(data)
    return FileLayer(*known, folder / "layer", ZSTD_LAYER)


def read(made: FileLayer, limit_bytes: int = 1 << 20) -> bytes:
    with uncompressed(made, limit_bytes) as tar:
        return b"".join(iter(lambda: tar.read(1 << 18), b""))


def test_a_zstd_layer_is_read(tmp_path: Path) -> None:
    """In several frames as well."""
    frames = zstd.compress(TAR[:500]) + zstd.compress(TAR[500:])
    assert read(layer(tmp_path, frames)) == TAR


@pytest.mark.parametrize("spoil", [lambda d: d[:-5], lambda d: d[:40] + b"\xff" * 9 + d[49:]])
def test_a_damaged_zstd_layer_is_refused(tmp_path: Path, spoil: object) -> None:
    """Cut off, or with other bytes, and with a digest that agrees."""
    assert callable(spoil)
    with pytest.raises(IntegrityError):
        read(layer(tmp_path, spoil(zstd.compress(bytes(range(256)) * 9))))


def test_a_zstd_bomb_is_refused(tmp_path: Path) -> None:
    """A gigabyte of zeros in a few kilobytes is read to the limit and no further."""
    bomb = zstd.compress(bytes(1 << 24)) * 64
    assert len(bomb) < 100_000
    with pytest.raises(IntegrityError, match="limit"):
        read(layer(tmp_path, bomb), 1 << 22)


def test_other_bytes_than_promised_are_refused(tmp_path: Path) -> None:
    """The diff_id is that of the tar."""
    with pytest.raises(IntegrityError, match="diff_id"):
        read(layer(tmp_path, zstd.compress(TAR), tar=b"another"))
