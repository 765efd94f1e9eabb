# SPDX-License-Identifier: Apache-2.0
"""Which paths a wheel writes, and what: enough to find conflicts without the wheel itself."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence

import deflate

from imagekit.errors import IntegrityError
from imagekit.layers.venv import Venv
from imagekit.layers.wheel_archive import WheelArchive
from imagekit.layers.wheel_file import WheelFile
from imagekit.layers.wheel_install import Copied, Made, plan
from imagekit.values import frozen

_LEVEL = 6
_LIMIT_BYTES = 256 << 20


@frozen
class Claims:
    """Of one wheel: each path with the CRC-32 and size of what is written there."""

    filename: str
    files: tuple[tuple[str, int, int], ...]


def claims_of(wheel: WheelFile, venv: Venv) -> Claims:
    """What installing `wheel` would write. Raises IntegrityError where it is hostile."""
    with WheelArchive(wheel.path, wheel.filename) as archive:
        files = plan(archive, venv).files
    return Claims(wheel.filename, tuple((file.path, *_content(file)) for file in files))


def encode(claims: Iterable[Claims]) -> bytes:
    """The same bytes for the same claims everywhere: JSON, as the place of a config wants it."""
    text = json.dumps([[each.filename, each.files] for each in claims], separators=(",", ":"))
    packed = deflate.gzip_compress(text.encode(), _LEVEL)
    return json.dumps({"claims": base64.b64encode(packed).decode()}).encode()


def decode(data: bytes, filenames: Sequence[str]) -> tuple[Claims, ...]:
    """The claims of just these wheels.

    Raises:
        IntegrityError: they are others, or make no sense.
    """
    inflater = zlib.decompressobj(31)
    try:
        packed = base64.b64decode(json.loads(data)["claims"], validate=True)
        text = inflater.decompress(packed, _LIMIT_BYTES)
        if not inflater.eof:
            raise IntegrityError("claims of wheels: cut off, or too large")
        found = tuple(
            Claims(str(name), tuple((str(path), int(crc), int(size)) for path, crc, size in files))
            for name, files in json.loads(text)
        )
    except (zlib.error, ValueError, TypeError, LookupError, RecursionError) as error:
        raise IntegrityError(f"claims of wheels: they don't read: {error!s:.100}") from error
    if [each.filename for each in found] != [*filenames]:
        raise IntegrityError("claims of wheels: they are of other wheels")
    return found


def _content(file: Copied | Made) -> tuple[int, int]:
    if isinstance(file, Made):
        return zlib.crc32(file.data), len(file.data)
    return file.member.crc32, file.member.size_bytes
