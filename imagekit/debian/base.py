# SPDX-License-Identifier: Apache-2.0
"""What a Debian base is, as the lock file keeps it: packages by digest, and no host names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from imagekit.errors import LockError
from imagekit.values import frozen

_HEXADECIMAL = frozenset("0123456789abcdef")


@frozen
class DebPackage:
    """One .deb; `filename` is its path below a mirror's URI."""

    name: str
    version: str
    architecture: str
    filename: str
    sha256: str
    size_bytes: int

    def __post_init__(self) -> None:
        if len(self.sha256) != 64 or not set(self.sha256) <= _HEXADECIMAL:
            raise LockError(f"package {self.name}: not a sha256: {self.sha256[:80]!r}")
        if ".." in self.filename.split("/") or self.filename.startswith("/"):
            raise LockError(f"package {self.name}: not a path on a mirror: {self.filename[:80]!r}")

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "architecture": self.architecture,
            "filename": self.filename,
            "sha256": self.sha256,
            "size": self.size_bytes,
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> DebPackage:
        """Raises KeyError, TypeError or ValueError where it does not read."""
        names = ("name", "version", "architecture", "filename", "sha256")
        name, version, architecture, filename, sha256 = (_text(entry[key]) for key in names)
        return cls(name, version, architecture, filename, sha256, int(entry["size"]))


@frozen
class DebianBase:
    """A resolved base. `released` is when each suite was signed: (suite, RFC 3339 time).

    `libc` is family, major, minor; `python_path` is inside the image.
    """

    release: str
    architecture: str
    python_version: str
    python_path: str
    libc: tuple[str, int, int]
    packages: tuple[DebPackage, ...]
    released: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        """What the image's bytes depend on: packages in order, and nothing of where or when."""
        content = [self.release, self.architecture, self.python_path]
        content += [package.sha256 for package in self.packages]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Plain strings, integers, lists and tables, for JSON or TOML."""
        return {
            "release": self.release,
            "architecture": self.architecture,
            "python-version": self.python_version,
            "python-path": self.python_path,
            "libc": list(self.libc),
            "released": dict(self.released),
            "packages": [package.to_dict() for package in self.packages],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DebianBase:
        """The reverse of `to_dict`.

        Raises:
            LockError: something is missing or of the wrong type.
        """
        try:
            family, major, minor = data["libc"]
            return cls(
                _text(data["release"]),
                _text(data["architecture"]),
                _text(data["python-version"]),
                _text(data["python-path"]),
                (_text(family), int(major), int(minor)),
                tuple(DebPackage.from_dict(entry) for entry in data["packages"]),
                tuple((suite, _text(date)) for suite, date in data["released"].items()),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LockError(
                f"the lock's Debian base does not read: {error!r}",
                hint="make the lock again: imagekit lock",
            ) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a string: {value!r}")
    return value
