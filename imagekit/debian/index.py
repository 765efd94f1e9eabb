# SPDX-License-Identifier: Apache-2.0
"""The package lists of a suite: fetched by the digest in its Release file, and looked up by name.

A list has sixty thousand stanzas, of which a base needs fifty: the text is scanned once for
names, and only what is asked for is read.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Collection
from pathlib import Path

from isal import igzip

from imagekit.debian.control import Relation, Stanza, relations, stanzas
from imagekit.debian.release import SuiteRelease
from imagekit.errors import IntegrityError, LockError
from imagekit.fetch import Advance, fetch
from imagekit.values import frozen

_NAME = re.compile(rb"^Package: ([^\n]+)$", re.MULTILINE)
_ESSENTIAL = re.compile(rb"^Essential: yes$", re.MULTILINE)
_PROVIDES = re.compile(rb"^Provides: ([^\n]+)$", re.MULTILINE)
# gzip is larger by a third and inflates in a quarter of the time; not every suite has it.
_COMPRESSIONS = (".gz", ".xz")
_LIMIT_BYTES = 1 << 30


@frozen
class Candidate:
    """A package that could be installed, with what it says of others.

    `depends` holds Pre-Depends and Depends: all of the groups, one of each.
    """

    name: str
    version: str
    architecture: str
    filename: str
    sha256: str
    size_bytes: int
    priority: str
    depends: tuple[tuple[Relation, ...], ...]
    provides: tuple[Relation, ...]
    conflicts: tuple[Relation, ...]


class PackageIndex:
    """One package list, looked up by name."""

    def __init__(self, text: bytes, architecture: str) -> None:
        self._text = text
        self._architecture = architecture
        self._offsets: dict[str, list[int]] = {}
        for match in _NAME.finditer(text):
            self._offsets.setdefault(match[1].decode(), []).append(match.start())
        self._providers: dict[str, list[str]] | None = None

    def names(self) -> Collection[str]:
        return self._offsets.keys()

    def named(self, name: str) -> list[Candidate]:
        return [self._candidate(offset) for offset in self._offsets.get(name, ())]

    def providers(self, name: str) -> list[str]:
        """Names of the packages that provide `name`."""
        if self._providers is None:
            self._providers = self._find_providers()
        return self._providers.get(name, [])

    def essential(self) -> list[str]:
        """Names of the packages that a whole system has (Debian Policy 3.8)."""
        found = (self._stanza(match.start()) for match in _ESSENTIAL.finditer(self._text))
        return sorted({stanza["Package"] for stanza in found})

    def with_digest(self, sha256: str) -> str | None:
        """The file name of the package with that digest, wherever the archive keeps it now."""
        found = self._text.find(b"\nSHA256: " + sha256.encode())
        if found < 0:
            return None
        return self._stanza(found)["Filename"]

    def _find_providers(self) -> dict[str, list[str]]:
        providers: dict[str, list[str]] = {}
        for match in _PROVIDES.finditer(self._text):
            package = self._stanza(match.start())["Package"]
            for (provided,) in relations(match[1].decode(), self._architecture):
                providers.setdefault(provided.name, []).append(package)
        return providers

    def _stanza(self, position: int) -> Stanza:
        """The stanza in which `position` lies."""
        # The blank line before it; at the start of the text there is none (-1).
        start = self._text.rfind(b"\n\n", 0, position) + 1
        end = self._text.find(b"\n\n", max(start, position) + 1)
        text = self._text[start : end if end >= 0 else len(self._text)]
        return next(stanzas(text.decode("utf-8", "replace")))

    def _candidate(self, position: int) -> Candidate:
        fields = self._stanza(position)
        try:
            return self._read(fields)
        except (KeyError, ValueError) as error:
            name = fields.get("Package", "?")
            raise IntegrityError(f"package list: the entry of {name} does not read") from error

    def _read(self, fields: Stanza) -> Candidate:
        if not {"Filename", "SHA256", "Size"} <= fields.keys():
            raise KeyError("Filename, SHA256 or Size")
        return candidate_of(fields, self._architecture)


def candidate_of(fields: Stanza, architecture: str) -> Candidate:
    """A package by its control fields; of an installed one, where its file lay is unknown.

    That it can be unpacked by dpkg of some version is no part of what it depends on.
    """

    def groups(*names: str) -> tuple[tuple[Relation, ...], ...]:
        text = ", ".join(fields[name] for name in names if name in fields)
        return relations(text, architecture)

    before = (each for each in groups("Pre-Depends") if each[0].name != "dpkg")
    return Candidate(
        fields["Package"],
        fields["Version"],
        fields["Architecture"],
        fields.get("Filename", ""),
        fields.get("SHA256", ""),
        int(fields.get("Size", "0")),
        fields.get("Priority", "optional"),
        (*before, *groups("Depends")),
        tuple(group[0] for group in groups("Provides")),
        tuple(group[0] for group in groups("Conflicts", "Breaks")),
    )


def fetch_index(
    release: SuiteRelease,
    architecture: str,
    component: str = "main",
    *,
    advance: Advance | None = None,
) -> PackageIndex:
    """The list of a component in a suite.

    Raises:
        LockError: the suite has none for the architecture.
    """
    for compression in _COMPRESSIONS:
        path = f"{component}/binary-{architecture}/Packages{compression}"
        if path in release.files:
            sha256, size_bytes = release.files[path]
            urls = _urls(release, path, sha256)
            name = f"package list of {release.suite} {component}"
            arrived = fetch(urls, sha256=sha256, size_bytes=size_bytes, name=name, advance=advance)
            return PackageIndex(_inflated(arrived, compression), architecture)
    raise LockError(f"{release.suite} {component} has no packages for {architecture}")


def _urls(release: SuiteRelease, path: str, sha256: str) -> list[str]:
    """By hash first: a mirror that is just being updated has old and new lists side by side."""
    folder = path.rpartition("/")[0]
    by_hash = [f"{folder}/by-hash/SHA256/{sha256}"] if release.by_hash else []
    return [
        f"{uri}/dists/{release.suite}/{name}" for uri in release.uris for name in (*by_hash, path)
    ]


def _inflated(path: Path, compression: str) -> bytes:
    opener = igzip.open if compression == ".gz" else lzma.open
    with opener(path, "rb") as stream:
        text: bytes = stream.read(_LIMIT_BYTES)
    if len(text) == _LIMIT_BYTES:
        raise IntegrityError(f"{path}: a package list of more than {_LIMIT_BYTES} bytes")
    return text
