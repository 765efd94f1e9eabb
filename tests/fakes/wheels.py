# SPDX-License-Identifier: Apache-2.0
"""Small wheels, right or wrong on purpose, made with the standard library."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from imagekit.layers.wheel_file import WheelFile

WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make_wheel(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    name: str = "thing",
    version: str = "1.0",
    executable: frozenset[str] = frozenset(),
    record: str | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> WheelFile:
    """A wheel that holds `files`, and metadata; `record` replaces the true RECORD."""
    dist_info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    content = {f"{dist_info}/METADATA": metadata, f"{dist_info}/WHEEL": WHEEL.encode()}
    content.update(files)
    if record is None:
        record = "".join(f"{path},{_hash(data)},{len(data)}\n" for path, data in content.items())
        record += f"{dist_info}/RECORD,,\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, data in {**content, f"{dist_info}/RECORD": record.encode()}.items():
            entry = zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0))
            entry.compress_type = compression
            entry.external_attr = (0o100755 if member in executable else 0o100644) << 16
            archive.writestr(entry, data)
    return WheelFile(path, path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def _hash(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"
