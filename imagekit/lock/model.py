# SPDX-License-Identifier: Apache-2.0
"""Exactly what goes into an image, by digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from imagekit.values import frozen

MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
"""What wheels call the machine of a platform."""

_BASE_HINTS = frozenset({"below", "distributions", "interpreter", "reference", "released"})


@frozen
class BuiltFrom:
    """What a wheel was built from on the machine that made the lock, by which it is built again.

    Attributes:
        kind: `sdist`, `archive`, `directory` or `vcs`, as PEP 751 calls them.
        location: a path relative to the lock, or a URL without credentials.
        digest: sha256 in hexadecimal of the archive; `sha256:...` of the folder's content; the
            commit of a repository.
        revision: of a repository, as it was asked for.
        subdirectory: where the project is within it; empty for its root.
        requires: what the backend needs, as pinned requirements with hashes.
    """

    kind: Literal["sdist", "archive", "directory", "vcs"]
    location: str
    digest: str
    revision: str = ""
    subdirectory: str = ""
    requires: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For people."""
        commit = f"@{self.digest[:12]}" if self.kind == "vcs" else ""
        below = f", folder {self.subdirectory}" if self.subdirectory else ""
        return f"{self.location}{commit}{below}"


@frozen
class LockedWheel:
    """One wheel; `name` is normalised, `url` a hint only, as mirrors move.

    `built` says what it is built from where no index has it.
    """

    name: str
    version: str
    filename: str
    sha256: str
    size_bytes: int | None = None
    url: str | None = None
    built: BuiltFrom | None = None


@frozen
class Target:
    """Where the wheels will run: facts of the base, never of the machine that builds."""

    platform: str
    python_version: str
    """In full, such as 3.11.2."""
    python_path: str
    """Of the base's interpreter, absolute, within the base."""
    glibc: str
    """As `2.36`."""

    @property
    def machine(self) -> str:
        return MACHINES[self.platform]

    @property
    def python_minor(self) -> tuple[int, int]:
        major, minor = self.python_version.split(".")[:2]
        return int(major), int(minor)

    @property
    def glibc_minor(self) -> int:
        return int(self.glibc.split(".")[1])


@frozen
class RuntimePin:
    """The runtime wheel that starts the task."""

    version: str
    sha256: str


@frozen
class KnownLayer:
    """A layer that was built: `recipe` is the digest of all that its bytes depend on."""

    recipe: str
    digest: str
    diff_id: str
    size_bytes: int


@frozen
class Lock:
    """What a spec was resolved to.

    `base` is kept as the base's own module wrote it, with its `kind` (`debian` or `oci`); when
    its suites were released, where its image lies, or which interpreter it has, is no part of what
    it is. The same holds for `apt`, the Debian packages on top of it. `layers` is what builds came
    to: with it a machine that has built nothing knows the image's digest. `at_start` are the
    packages that a container installs before its task, as lines of a requirements.txt with their
    hashes.
    """

    spec_digest: str
    target: Target
    base: Mapping[str, Any] = field(hash=False)
    packages: tuple[LockedWheel, ...]
    runtime: RuntimePin | None
    uv_version: str
    apt: Mapping[str, Any] | None = field(default=None, hash=False)
    layers: tuple[KnownLayer, ...] = ()
    at_start: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of what reaches the image: no hints, and not which tool found it."""
        decisive = {
            "base": {key: value for key, value in self.base.items() if key not in _BASE_HINTS},
            "packages": [[wheel.filename, wheel.sha256] for wheel in self.packages],
            "platform": self.target.platform,
            "python": [self.target.python_version, self.target.python_path],
            "runtime": None if self.runtime is None else self.runtime.sha256,
        }
        if self.at_start:
            decisive["at start"] = list(self.at_start)
        if self.apt is not None:
            decisive["apt"] = {k: v for k, v in self.apt.items() if k not in _BASE_HINTS}
        encoded = json.dumps(decisive, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(encoded.encode()).hexdigest()
