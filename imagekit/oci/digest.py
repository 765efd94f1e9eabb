# SPDX-License-Identifier: Apache-2.0
"""Digests as OCI writes them (image-spec, descriptor.md): `sha256:` and 64 hex digits."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from imagekit.errors import IntegrityError
from imagekit.files import sha256_of

_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")


def of_bytes(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    return "sha256:" + sha256_of(path)


def check(value: str) -> str:
    """Return `value` if it is a sha256 digest; anything else never becomes a path."""
    if not _PATTERN.fullmatch(value):
        raise IntegrityError(f"not a sha256 digest: {value[:100]!r}")
    return value


def hexadecimal(value: str) -> str:
    return check(value).removeprefix("sha256:")
