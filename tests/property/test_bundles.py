# SPDX-License-Identifier: Apache-2.0
"""Damaged bundles: whatever their bytes are, they are unpacked inside or refused."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoint.bundle import archives
from entrypoint.bundle.install import Staging
from entrypoint.errors import BundleError


def tar() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, kind in (("a.py", tarfile.REGTYPE), ("é" * 120, tarfile.REGTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, 10
            archive.addfile(member, io.BytesIO(b"0123456789"))
        link = tarfile.TarInfo("b/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../a.py"
        archive.addfile(link)
    return raw.getvalue()[:6000]


def zipped() -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", "0123456789" * 20)
        archive.writestr("b/c.py", "")
    return raw.getvalue()


changes = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6)


@pytest.mark.parametrize("name", ["code.tar.gz", "code.zip"])
@given(damage=changes)
def test_a_damaged_bundle_is_unpacked_inside_or_refused(
    name: str, damage: list[tuple[int, int]]
) -> None:
    """No other exception, and nothing beside the destination."""
    data = bytearray(tar() if name == "code.tar.gz" else zipped())
    for position, value in damage:
        data[position % len(data)] = value
    with TemporaryDirectory() as folder:
        bundle, inside = Path(folder, name), Path(folder, "inside")
        bundle.write_bytes(gzip.compress(data) if name == "code.tar.gz" else bytes(data))
        inside.mkdir()
        staging = Staging(str(inside))
        try:
            archives.unpack(str(bundle), name, staging)
            staging.move_to(str(inside))
        except BundleError:
            return
        finally:
            staging.discard()
            assert sorted(os.listdir(folder)) == sorted([name, "inside"])
