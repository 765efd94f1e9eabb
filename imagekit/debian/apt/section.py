# SPDX-License-Identifier: Apache-2.0
"""The Debian packages on top of a base, as the lock keeps them: by digest, and no host names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagekit.debian.base import DebPackage
from imagekit.errors import LockError
from imagekit.values import frozen


@frozen
class AptSet:
    """A resolved set.

    Attributes:
        release: of the base, by its code name; see `release_named`.
        architecture: Debian's name of it.
        packages: those that are added to the base or replace its own, sorted by name.
        scripts: names of those whose maintainer scripts have to run; with none, none is run.
        first: names of those that have one to run before they are unpacked.
        again: packages of the base that dpkg has to configure too, where scripts are run.
        released: when each suite was signed: (suite, RFC 3339 time).
    """

    release: str
    architecture: str
    packages: tuple[DebPackage, ...]
    scripts: tuple[str, ...]
    first: tuple[str, ...]
    again: tuple[DebPackage, ...]
    released: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "release": self.release,
            "architecture": self.architecture,
            "scripts": list(self.scripts),
            "first": list(self.first),
            "again": [package.to_dict() for package in self.again],
            "packages": [package.to_dict() for package in self.packages],
            "released": dict(self.released),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AptSet:
        """The reverse of `to_dict`.

        Raises:
            LockError: something is missing or of the wrong type.
        """
        try:
            return cls(
                str(data["release"]),
                str(data["architecture"]),
                tuple(DebPackage.from_dict(each) for each in data["packages"]),
                tuple(str(each) for each in data["scripts"]),
                tuple(str(each) for each in data["first"]),
                tuple(DebPackage.from_dict(each) for each in data["again"]),
                tuple((suite, str(date)) for suite, date in data.get("released", {}).items()),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LockError(
                f"the lock's Debian packages do not read: {error!r}",
                hint="make the lock again: imagekit lock",
            ) from error
