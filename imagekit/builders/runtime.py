# SPDX-License-Identifier: Apache-2.0
"""The runtime wheel: what of the installed imagekit goes into images.

It is made from the files that are installed here, always with the same bytes, and its version
follows its content, so that a change elsewhere in imagekit changes no image.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

from imagekit.builders.file_digests import remembered_sha256
from imagekit.files import replacing
from imagekit.layers.wheel_file import WheelFile
from imagekit.lock.model import RuntimePin
from imagekit.paths import cache_directory
from imagekit.usage import used
from imagekit.values import frozen

_FOLDERS = ("entrypoint", "imagekit/tasks", "sidecars")
"""Every module in these, at any depth."""

_FILES = (
    "imagekit/__init__.py",
    "imagekit/errors.py",
    "imagekit/py.typed",
    "imagekit/spec/__init__.py",
    "imagekit/spec/frozen.py",
    "imagekit/spec/model.py",
)
_METADATA = "Metadata-Version: 2.1\nName: imagekit-runtime\nVersion: {version}\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: imagekit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_DATE = (1980, 1, 2, 0, 0, 0)
_ROOT = Path(__file__).parent.parent.parent
_SETTLED_NS = 2_000_000_000


@frozen
class RuntimeWheel:
    """The wheel and what the lock says of it."""

    pin: RuntimePin
    file: WheelFile


@functools.cache
def runtime_pin() -> RuntimePin:
    """What a lock says of the wheel; it is not made where it was, from the files as they are."""
    memo = _memo(_ROOT, time.time_ns())
    if memo is None:
        return runtime_wheel().pin
    if used(memo):
        words = memo.read_text(encoding="ascii", errors="replace").split()
        if len(words) == 2:
            return RuntimePin(*words)
    pin = runtime_wheel().pin
    with replacing(memo) as stream:
        stream.write(f"{pin.version} {pin.sha256}\n".encode())
    return pin


def runtime_file() -> WheelFile:
    """The wheel of `runtime_pin`; it is packed anew unless it is in the cache as it was."""
    pin = runtime_pin()
    filename = _filename(pin.version)
    path = cache_directory() / "runtime" / filename
    if used(path) and remembered_sha256(path) == pin.sha256:
        return WheelFile(path, filename, pin.sha256)
    return runtime_wheel().file


@functools.cache
def runtime_wheel() -> RuntimeWheel:
    """The wheel of this installation, made in the cache unless it is there."""
    files = dict(runtime_files(_ROOT))
    version = _version(files)
    filename = _filename(version)
    path = cache_directory() / "runtime" / filename
    data = _packed(files, version)
    if not used(path) or path.read_bytes() != data:
        with replacing(path, mode=0o444) as stream:
            stream.write(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return RuntimeWheel(RuntimePin(version, sha256), WheelFile(path, filename, sha256))


def _filename(version: str) -> str:
    return f"imagekit_runtime-{version}-py3-none-any.whl"


def runtime_files(root: Path) -> Iterator[tuple[str, bytes]]:
    """What goes into the wheel, by path, from the folder that holds the packages."""
    for name in _names(root):
        yield name, (root / name).read_bytes()


def _names(root: Path) -> list[str]:
    found = [name for name in _FILES if (root / name).exists()]
    for folder in _FOLDERS:
        for directory, _, names in os.walk(root / folder):
            inside = os.path.relpath(directory, root)
            found += [f"{inside}/{name}" for name in names if name.endswith(".py")]
    return sorted(found, key=lambda name: name.split("/"))


def _memo(root: Path, now_ns: int) -> Path | None:
    """Where the pin of the files as they are is kept: named after all that changes with them.

    Nobody can set back the time at which the system noted a change. None where the last one is so
    new that another might bear the same time.
    """
    state = [str(root)]
    newest_ns = 0
    for name in _names(root):
        status = os.stat(root / name)
        newest_ns = max(newest_ns, status.st_ctime_ns)
        state.append(f"{name} {status.st_size} {status.st_ino} {status.st_ctime_ns}")
    if newest_ns > now_ns - _SETTLED_NS:
        return None
    key = hashlib.sha256("\n".join(state).encode("utf-8", "surrogateescape")).hexdigest()
    return cache_directory() / "runtime" / "pins" / key


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
    from imagekit.layers import record  # noqa: PLC0415 - mostly its pin is known

    rows = [record.row(path, data) for path, data in files.items()]
    rows.append(record.Row(f"{folder}/RECORD"))
    files[f"{folder}/RECORD"] = record.write(rows)
    import zipfile  # noqa: PLC0415 - mostly the wheel is there

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, _DATE)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            archive.writestr(entry, data)
    return packed.getvalue()
