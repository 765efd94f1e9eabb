# SPDX-License-Identifier: Apache-2.0
"""The Debian releases that can be a base: data in `imagekit/bases`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from imagekit.errors import LockError
from imagekit.values import frozen

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ARCHITECTURES: Mapping[str, str] = {"linux/amd64": "amd64", "linux/arm64": "arm64"}
"""Debian's name of each platform that a base is made for."""


@frozen
class Release:
    """One release.

    Attributes:
        name: its code name.
        python: major.minor of its own; empty where no base is made of it.
        packages: those that make a base.
        keys: OpenPGP certificates that sign its suites.
        distribution: as os-release(5) identifies it.
        components: of the archive, where packages are looked for.
    """

    name: str
    python: str
    packages: tuple[str, ...]
    keys: tuple[bytes, ...]
    distribution: str = "debian"
    components: tuple[str, ...] = ("main",)

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.distribution.title()} {self.name}"

    @property
    def security_suite(self) -> str:
        return f"{self.name}-security"

    @property
    def suites(self) -> tuple[str, ...]:
        """Where its packages are looked for."""
        return (self.name, f"{self.name}-updates", self.security_suite)


@frozen
class Content:
    """What of the packages goes into an image, whatever the release."""

    omitted: frozenset[str]
    alternatives: Mapping[str, str]
    dropped: tuple[str, ...]
    kept: str


def release_for(python_version: str) -> Release:
    """The release whose own Python is `python_version` (only major.minor count).

    Raises:
        LockError: no release has it; the hint names the way out.
    """
    wanted = ".".join(python_version.split(".")[:2])
    table = _data()["releases"]
    for name, entry in table.items():
        if entry["python"] == wanted:
            return _release(name, entry)
    known = ", ".join(f"{entry['python']} ({name})" for name, entry in table.items())
    raise LockError(
        f"base_image debian has no Python {python_version}; it has {known}",
        hint="name an image with that Python as base_image: a registry's reference or an OCI "
        "layout, such as `oci:DIRECTORY`",
    )


def release_named(name: str, keys: tuple[bytes, ...] = ()) -> Release:
    """The release with that code name, with its distribution before it where that is not Debian.

    `keys` are those of the base, which count for distributions whose keys are not carried here.

    Raises:
        LockError: packages of it can't be verified.
    """
    data = _data()
    table, others = data["releases"], data["distributions"]
    if name in table:
        return _release(name, table[name])
    distribution, _, code_name = name.partition(" ")
    if distribution in others and code_name:
        components = tuple(others[distribution]["components"])
        return Release(code_name, "", (), keys, distribution, components)
    known = f"Debian {', '.join(table)} and {', '.join(each.title() for each in others)}"
    raise LockError(
        f"apt_packages: packages of {name or 'an unnamed system'} can't be verified here",
        hint=f"known are {known}; on another base use `commands` with its own package manager, or "
        "`builder: docker`",
    )


def known_releases() -> dict[str, str]:
    """The Python of each release, by name."""
    return {name: str(entry["python"]) for name, entry in _data()["releases"].items()}


@cache
def content() -> Content:
    data = _data()
    return Content(
        frozenset(data["packages"]["omitted"]),
        data["packages"]["alternatives"],
        tuple(data["files"]["dropped"]),
        data["files"]["kept"],
    )


def architecture_for(platform: str) -> str:
    """Debian's architecture for an OCI platform such as `linux/amd64`."""
    if platform not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise LockError(
            f"base_image debian is not made for {platform}", hint=f"it is made for {known}"
        )
    return ARCHITECTURES[platform]


def _release(name: str, entry: Mapping[str, Any]) -> Release:
    keys = resources.files("imagekit.bases") / "keys"
    packages = sorted({*_data()["packages"]["default"], *entry["packages"]})
    return Release(
        name,
        entry["python"],
        tuple(packages),
        tuple((keys / f"{key}.asc").read_bytes() for key in entry["keys"]),
    )


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads((resources.files("imagekit.bases") / "debian.toml").read_text("utf-8"))
