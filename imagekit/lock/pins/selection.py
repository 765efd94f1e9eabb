# SPDX-License-Identifier: Apache-2.0
"""What of a lock is wanted, and what one of its packages comes to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName

from imagekit.errors import LockError
from imagekit.lock.model import Target
from imagekit.values import frozen


@frozen
class Pin:
    """One package; `sha256` are the hashes of its files, `url` where it is named by one.

    A `url` with `git+` is of a repository, at a commit.
    """

    name: str
    version: str
    sha256: frozenset[str]
    url: str = ""

    @property
    def requirement(self) -> str:
        return f"{self.name} @ {self.url}" if self.url else f"{self.name}=={self.version}"


@frozen
class Selection:
    """Extras and groups by their names in the lock `source`, and the target for its markers."""

    source: str
    extras: frozenset[str]
    groups: frozenset[str]
    target: Target

    def fits(self, marker: str | None, **more: Any) -> bool:
        """Whether a marker (PEP 508) holds on the target; `more` is laid over its variables."""
        if not marker:
            return True
        try:
            return Marker(marker).evaluate(
                {**self._environment(), "extra": "", **more}, "lock_file"
            )
        except (InvalidMarker, UndefinedEnvironmentName) as error:
            raise LockError(f"{self.source}: the marker {marker!r} does not read") from error

    def refuse_unknown(self, extras: Iterable[str], groups: Iterable[str]) -> None:
        """Raise LockError where an extra or group is wanted that the lock does not have."""
        for kind, wanted, known in (
            ("extra", self.extras, sorted(extras)),
            ("group", self.groups, sorted(groups)),
        ):
            for name in sorted(wanted - set(known)):
                raise LockError(
                    f"{self.source} has no {kind} {name!r}",
                    hint=f"it has: {', '.join(known)}" if known else f"it has no {kind}s",
                )

    def _environment(self) -> dict[str, str]:
        python = self.target.python_version
        return {
            "implementation_name": "cpython",
            "implementation_version": python,
            "os_name": "posix",
            "platform_machine": self.target.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": python,
            "python_version": ".".join(python.split(".")[:2]),
            "sys_platform": "linux",
        }


def hashes(source: str, name: str, files: Collection[Mapping[str, Any]]) -> frozenset[str]:
    """The sha256 of files whose `hash` is written `sha256:...`; raises as `held_to` does."""
    written = (str(file.get("hash", "")).partition(":") for file in files)
    return held_to(source, name, [(kind, value) for kind, _, value in written if value])


def held_to(source: str, name: str, found: Collection[tuple[str, str]]) -> frozenset[str]:
    """The sha256 among the kinds and values of a package's hashes.

    Raises LockError where it has others alone: they would be looked at by nobody.
    """
    known = frozenset(value for kind, value in found if kind == "sha256")
    if found and not known:
        raise LockError(
            f"{source}: {name} has hashes, and none is a sha256, which an image is held to"
        )
    return known


def no_wheel(source: str, name: str, what: str) -> LockError:
    return LockError(
        f"{source}: {name} comes from {what}, not from an index",
        hint="only wheels fit into an image: copy code by source_root or copy, or publish it",
    )
