# SPDX-License-Identifier: Apache-2.0
"""The one table of what images of the same lock may differ in because other builders made them.

A kind says which aspects of which paths it accounts for, and why. What no kind accounts for is a
difference between the images.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from imagekit.compare.reading import BYTECODE, INSTALLER_NOTES
from imagekit.compare.tree import Entry
from imagekit.values import frozen

Aspect = Literal["presence", "kind", "content", "mode", "owner", "attributes", "mtime"]


@frozen
class FileDifference:
    """One path that is not the same: what of it, and by which kind that is allowed, if by one.

    `first` and `second` are None where an image does not have the path.
    """

    path: str
    aspects: tuple[Aspect, ...]
    first: Entry | None
    second: Entry | None
    allowed: str | None = None


def _always(first: Entry | None, second: Entry | None) -> bool:
    del first, second
    return True


def _same_kept(first: Entry | None, second: Entry | None) -> bool:
    """What counts of both contents is known and the same."""
    return bool(first and second and first.kept and first.kept == second.kept)


def _empty(first: Entry | None, second: Entry | None) -> bool:
    """Nothing is in the one that is there."""
    return all(entry is None or entry.size_bytes == 0 for entry in (first, second))


@frozen
class Allowed:
    """A kind of difference between builders."""

    name: str
    reason: str
    paths: re.Pattern[str]
    aspects: frozenset[Aspect]
    holds: Callable[[Entry | None, Entry | None], bool] = _always


def _kind(
    name: str,
    reason: str,
    paths: str | re.Pattern[str],
    aspects: tuple[Aspect, ...],
    holds: Callable[[Entry | None, Entry | None], bool] = _always,
) -> Allowed:
    return Allowed(name, reason, re.compile(paths), frozenset(aspects), holds)


_THERE: tuple[Aspect, ...] = ("presence", "content")

KINDS = (
    _kind(
        "installer notes",
        "INSTALLER, REQUESTED and direct_url.json say who installed and how it was asked",
        INSTALLER_NOTES,
        _THERE,
    ),
    _kind(
        "RECORD",
        "its rows name the notes, bytecode and launchers of the installer; all others agree",
        r".*\.dist-info/RECORD",
        ("content",),
        _same_kept,
    ),
    _kind(
        "bytecode",
        "other compilers stamp it with times, marshal it in other order, or leave it out",
        BYTECODE,
        _THERE,
    ),
    _kind(
        "launchers",
        "each installer has its own text; both import and call the same",
        r"opt/venv/bin/[^/]+",
        ("content",),
        _same_kept,
    ),
    _kind(
        "environment",
        "activation scripts, notes and links that makers of virtual environments add",
        r"opt/venv/(bin/((de)?activate[^/]*|pydoc\.bat|python[\d.]*)|pyvenv\.cfg|\.lock|CACHEDIR\.TAG"
        r"|\.gitignore|lib64|lib/python[\d.]+/site-packages/_virtualenv\.(py|pth))",
        _THERE,
    ),
    _kind(
        "package manager's state",
        "apt and dpkg that ran in a container leave lists, caches, logs and backups",
        r"var/(lib/apt|cache/(apt|debconf|ldconfig)|log)(/.*)?"
        r"|var/lib/dpkg/([^/]*-old|lock[^/]*|triggers|updates|parts)(/.*)?",
        _THERE,
    ),
    _kind(
        "dpkg's status",
        "other order and fields; it names the same packages in the same versions",
        r"var/lib/dpkg/status",
        ("content",),
        _same_kept,
    ),
    _kind("mtime", "builders that run steps leave the time of the build", r".*", ("mtime",)),
    _kind(
        "mount points",
        "an engine that ran a step leaves the empty files and folders that it mounted over",
        r"(\.dockerenv|etc/(hosts|hostname|resolv\.conf|mtab)|(dev|proc|sys|run|tmp)(/.*)?)",
        _THERE,
        _empty,
    ),
)

ENGINE = "engine's settings"
ENGINE_REASON = "history, times, and members that engines write for containers, not for images"

_ENGINE_SETTINGS = frozenset(
    {
        *("history", "created", "ArgsEscaped", "AttachStderr", "AttachStdin", "AttachStdout"),
        *("Domainname", "Hostname", "Image", "OnBuild", "OpenStdin", "StdinOnce", "Tty"),
    }
)


def kind_of_file(difference: FileDifference) -> str | None:
    """The kinds that together account for every aspect that differs; None where one is left."""
    left = set(difference.aspects)
    names = []
    for kind in KINDS:
        if (
            left & kind.aspects
            and kind.paths.fullmatch(difference.path)
            and kind.holds(difference.first, difference.second)
        ):
            left -= kind.aspects
            names.append(kind.name)
    return names[0] if names and not left else None


def kind_of_setting(name: str) -> str | None:
    return ENGINE if name in _ENGINE_SETTINGS else None
