# SPDX-License-Identifier: Apache-2.0
"""Requirements that name source: a folder, an archive, or a git repository.

They have to be built before they can be installed; `imagekit.lock.sources` does it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from imagekit.spec.requirement import UnusableRequirementError, check_hashes, check_name, parse
from imagekit.urls import masked, without_credentials
from imagekit.values import frozen

Kind = Literal["archive", "directory", "vcs"]

ARCHIVES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
_GIT = "git+"
_GIT_SCHEMES = ("https", "http", "ssh", "file")
_PATH = re.compile(r"(?P<path>\.{0,2}/[^\[;]*|\.{1,2})(?:\[(?P<extras>[^\]]*)\])?")
# As git-check-ref-format(1) allows, but for what a command line or a range would make of it.
_REVISION = re.compile(r"[A-Za-z0-9_](?:(?!\.\.)[\w./+-])*")


@frozen
class Source:
    """A requirement that is built here.

    Attributes:
        kind: as PEP 751 calls it.
        name: of the distribution, normalised; empty where the requirement does not say.
        extras: that are wanted of it, sorted.
        location: a path as it is written, or a URL with the credentials that it is written with.
        revision: of a repository: branch, tag or commit; empty for its HEAD.
        subdirectory: where the project is within it; empty for its root.
        sha256: what the archive has to be, if the requirement says.
        marker: when it is wanted; empty for always.
    """

    kind: Kind
    name: str
    extras: tuple[str, ...]
    location: str
    revision: str = ""
    subdirectory: str = ""
    sha256: str = ""
    marker: str = ""

    @property
    def is_path(self) -> bool:
        return "://" not in self.location

    @property
    def public(self) -> str:
        """The location as it may be written down; of SSH the account's name belongs to it."""
        if self.is_path:
            return self.location
        parts = urlsplit(self.location)
        if parts.scheme == "ssh" and parts.username:
            host = f"{parts.username}@{parts.netloc.rpartition('@')[2]}"
            return urlunsplit((parts.scheme, host, parts.path, "", ""))
        return without_credentials(self.location)

    def __str__(self) -> str:
        """For people."""
        said = f"{self.name} from " if self.name else ""
        revision = f"@{self.revision}" if self.revision else ""
        below = f", folder {self.subdirectory}" if self.subdirectory else ""
        return f"{said}{self.public}{revision}{below}"

    @property
    def canonical(self) -> str:
        """The same for every way to write the same requirement, and free of credentials."""
        parts = (self.name, *self.extras, self.public, self.revision, self.subdirectory)
        return " ".join((self.kind, *parts, self.sha256, self.marker))

    def wheel_requirement(self, name: str, wheel_url: str) -> str:
        """The requirement that takes the wheel `wheel_url` of the distribution `name` instead."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        marker = f" ; {self.marker}" if self.marker else ""
        return f"{name}{extras} @ {wheel_url}{marker}"


def find_source(text: str) -> Source | None:
    """The source that a requirement names; None where it names a release or a wheel.

    Raises:
        UnusableRequirementError: it names source in a way that can't be taken.
    """
    stripped = text.strip()
    shown = repr(masked(text))
    if stripped.startswith(_GIT):
        url, _, marker = stripped.partition(" ;")
        return _named(_of_git(url.strip(), shown), "", (), marker.strip(), shown)
    path = _PATH.fullmatch(stripped)
    if path is not None and not stripped.endswith(".whl"):
        said = (each.strip() for each in (path["extras"] or "").split(","))
        return replace(_of_path(path["path"].strip()), extras=tuple(sorted(filter(None, said))))
    try:
        requirement = Requirement(stripped)
    except InvalidRequirement:
        return None  # what is wrong with it is said where it is parsed as a requirement
    if requirement.url is None or unquote(urlsplit(requirement.url).path).endswith(".whl"):
        return None
    found = _of_url(requirement.url, shown)
    marker = "" if requirement.marker is None else str(requirement.marker)
    extras = tuple(sorted(requirement.extras))
    return None if found is None else _named(found, requirement.name, extras, marker, shown)


def _named(source: Source, name: str, extras: tuple[str, ...], marker: str, shown: str) -> Source:
    """`source` with what its requirement says beside the URL."""
    try:
        marker = str(Marker(marker)) if marker else ""
    except InvalidMarker as error:
        raise UnusableRequirementError(f"{shown}: {masked(str(error))}") from error
    if name or source.name:
        check_name(name or source.name)
    normalised = canonicalize_name(name or source.name)
    return replace(source, name=normalised, extras=extras, marker=marker)


def _of_url(url: str, shown: str) -> Source | None:
    if url.startswith(_GIT):
        return _of_git(url, shown)
    if _PATH.fullmatch(url):
        return _of_path(url)
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.path.endswith(ARCHIVES):
        return Source("directory", "", (), unquote(parts.path))
    if parts.scheme not in ("http", "https", "file") or not parts.path.endswith(ARCHIVES):
        return None
    check_hashes(shown, parts.fragment)
    said = dict(parse_qsl(parts.fragment))
    return Source(
        "archive",
        "",
        (),
        urlunsplit(parts._replace(fragment="")),
        subdirectory=_subdirectory(said.get("subdirectory", ""), shown),
        sha256=said.get("sha256", "").lower(),
    )


def _of_path(path: str) -> Source:
    if path.endswith(ARCHIVES):
        return Source("archive", "", (), path)
    return Source("directory", "", (), path if path == "/" else path.rstrip("/"))


def _of_git(url: str, shown: str) -> Source:
    parts = urlsplit(url.removeprefix(_GIT))
    if parts.scheme not in _GIT_SCHEMES or not _reachable(parts):
        raise UnusableRequirementError(
            f"{shown} is no URL of a git repository",
            "write NAME @ git+https://HOST/PATH@REVISION, or git+ssh://, git+http://, git+file://",
        )
    path, at, revision = parts.path.rpartition("@")
    if not at:
        path, revision = parts.path, ""
    elif not _REVISION.fullmatch(revision):
        raise UnusableRequirementError(f"{shown}: {revision!r} is no revision")
    said = dict(parse_qsl(parts.fragment))
    location = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
    below = _subdirectory(said.get("subdirectory", ""), shown)
    return Source("vcs", said.get("egg", ""), (), location, revision, below)


def _reachable(parts: SplitResult) -> bool:
    try:
        return parts.scheme == "file" or (bool(parts.hostname) and parts.port != 0)
    except ValueError:  # such as HOST:PATH, which is no URL
        return False


def _subdirectory(text: str, shown: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise UnusableRequirementError(f"{shown}: the subdirectory leaves the project")
    return "" if text in ("", ".") else str(path)


def address(text: str) -> str | None:
    """The URL that a requirement names, as it is written.

    Those of repositories begin with `git+`: their credentials are for that repository alone.
    """
    source = find_source(text)
    if source is None:
        return parse(text).url
    return f"git+{source.location}" if source.kind == "vcs" else source.location


def local_path(text: str) -> str:
    """The path of the source that a requirement names; empty where it names none."""
    source = find_source(text)
    return source.location if source is not None and source.is_path else ""


def requirement_name(text: str) -> str:
    """The normalised name that a requirement gives; empty for source that says none.

    Raises:
        UnusableRequirementError: an image can't be asked for it.
    """
    source = find_source(text)
    return canonicalize_name(parse(text).name) if source is None else source.name


def canonical(text: str) -> str:
    """The same text for every way to write the same requirement; for comparison only."""
    source = find_source(text)
    if source is not None:
        return source.canonical
    requirement = parse(text)
    requirement.name = canonicalize_name(requirement.name)
    return str(requirement)
