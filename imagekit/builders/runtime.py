# SPDX-License-Identifier: Apache-2.0
"""The runtime wheel: what of the installed imagekit goes into images.

It is made from the files that are installed here, always with the same bytes, and its version
follows its content, so that a change elsewhere in imagekit changes no image.
"""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imagekit.files import replacing
from imagekit.layers import record
from imagekit.layers.wheel_file import WheelFile
from imagekit.lock.model import RuntimePin
from imagekit.paths import cache_directory
from imagekit.usage import used

_CONTENT = (
    "entrypoint/**/*.py",
    "sidecars/**/*.py",
    "imagekit/__init__.py",
    "imagekit/errors.py",
    "imagekit/py.typed",
    "imagekit/spec/__init__.py",
    "imagekit/spec/model.py",
    "imagekit/tasks/**/*.py",
)
_METADATA = "Metadata-Version: 2.1\nName: imagekit-runtime\nVersion: {version}\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: imagekit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_DATE = (1980, 1, 2, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class RuntimeWheel:
    """The wheel and what the lock says of it."""

    pin: RuntimePin
    file: WheelFile


def runtime_pin() -> RuntimePin:
    return runtime_wheel().pin


@functools.cache
def runtime_wheel() -> RuntimeWheel:
    """The wheel of this installation, made in the cache unless it is there."""
    files = dict(runtime_files(Path(__file__).parent.parent.parent))
    version = _version(files)
    filename = f"imagekit_runtime-{version}-py3-none-any.whl"
    path = cache_directory() / "runtime" / filename
    data = _packed(files, version)
    if not used(path) or path.read_bytes() != data:
        with replacing(path, mode=0o444) as stream:
            stream.write(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return RuntimeWheel(RuntimePin(version, sha256), WheelFile(path, filename, sha256))


def runtime_files(root: Path) -> Iterator[tuple[str, bytes]]:
    """What goes into the wheel, by path, from the folder that holds the packages."""
    found = {path for pattern in _CONTENT for path in root.glob(pattern)}
    for path in sorted(found):
        yield path.relative_to(root).as_posix(), path.read_bytes()


def _version(files: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for path, data in files.items():
        digest.update(f"{path}\0{len(data)}\0".encode() + data)
    return f"0+{digest.hexdigest()[:16]}"


def _packed(files: dict[str, bytes], version: str) -> bytes:
    """Stored, not deflated: compressors differ, and the layer compresses it anyway."""
    folder = f"imagekit_runtime-{version}.dist-info"
    files = files | {
        f"{folder}/METADATA": _METADATA.format(version=version).encode(),
        f"{folder}/WHEEL": _WHEEL.encode(),
    }
    rows = [record.row(path, data) for path, data in files.items()]
    rows.append(record.Row(f"{folder}/RECORD"))
    files[f"{folder}/RECORD"] = record.write(rows)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, _DATE)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            archive.writestr(entry, data)
    return packed.getvalue()
