# SPDX-License-Identifier: Apache-2.0
"""Which mirrors are asked: what the spec names, else the environment, else the machine's apt, else
the base's own.

No host is built in. Apt sources may name another release than the wanted one: a
mirror carries all releases, so its URI serves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from imagekit.debian.control import Stanza, stanzas
from imagekit.errors import FetchError, IntegrityError
from imagekit.values import frozen

EXPIRY_VARIABLE = "IMAGEKIT_DEBIAN_CHECK_VALID_UNTIL"
APT_SOURCES = r"etc/apt/sources\.list(?:\.d/[^/]+\.(?:list|sources))?"
"""Matches the paths of files that apt reads as sources."""

_SECURITY = "security_mirror"
_KINDS = ("mirror", _SECURITY)

_APT = Path("/etc/apt")
_SUITES: Mapping[str, re.Pattern[str]] = {
    "debian": re.compile(
        r"(?:buster|bullseye|bookworm|trixie|forky|duke|sid|(?:old)*stable|testing|unstable)"
        r"(-security|/updates)?(?:-updates|-backports|-proposed-updates)?"
    ),
    "ubuntu": re.compile(
        r"(?:bionic|focal|jammy|noble|plucky|questing|resolute|devel)"
        r"(-security)?(?:-updates|-backports|-proposed)?"
    ),
}
_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>.+)")
_NO = frozenset({"no", "false", "0", "off", "disable"})


@frozen
class Mirrors:
    """URIs to ask in order, for the release with its updates, and for its security updates.

    `check_valid_until`: whether a Release file past its Valid-Until is refused.
    """

    main: tuple[str, ...]
    security: tuple[str, ...]
    check_valid_until: bool = True

    @property
    def every(self) -> tuple[str, ...]:
        """All URIs, each once; a package may have moved from one to the other."""
        return tuple(dict.fromkeys((*self.main, *self.security)))


@frozen
class _Source:
    uri: str
    security: bool
    check_valid_until: bool


def find_mirrors(
    environ: Mapping[str, str],
    options: Mapping[str, str] | None = None,
    *,
    distribution: str = "debian",
    base: Callable[[], Mapping[str, str]] = dict,
    apt_directory: Path = _APT,
) -> Mirrors:
    """The mirrors to use; each of the two is looked for on its own.

    Args:
        environ: may name them.
        options: a spec's builder options, which come first.
        distribution: as os-release(5) identifies it.
        base: gives the base's own apt sources by path; they are asked for last.
        apt_directory: the machine's.

    Raises:
        FetchError: none is known; the hint says how to name one.
    """
    named = {kind: _named(environ, options or {}, distribution, kind) for kind in _KINDS}
    known: list[_Source] = []
    for texts in (partial(_machine, apt_directory), base):
        if any(not named[kind] and not _of(known, kind) for kind in _KINDS):
            expires = _apt_checks_expiry(apt_directory)
            known += _apt_sources(texts(), distribution, expires)
    word = environ.get(EXPIRY_VARIABLE, "").lower()
    check = word not in _NO if word else all(source.check_valid_until for source in known)
    main, security = (_chosen(named[x], _of(known, x), distribution, x) for x in _KINDS)
    return Mirrors(main, security, check)


def mirror_variable(distribution: str, kind: str = "mirror") -> str:
    """The environment's variable for a distribution; `kind` is one of a mirror's two."""
    return f"IMAGEKIT_{distribution}_{kind}".upper()


def _named(
    environ: Mapping[str, str], options: Mapping[str, str], distribution: str, kind: str
) -> str | None:
    return options.get(f"{distribution}_{kind}") or environ.get(mirror_variable(distribution, kind))


def _of(known: Sequence[_Source], kind: str) -> list[str]:
    return [source.uri for source in known if source.security == (kind == _SECURITY)]


def _chosen(
    named: str | None, found: Sequence[str], distribution: str, kind: str
) -> tuple[str, ...]:
    uris = [named] if named else found
    if not uris:
        what = "security updates" if kind == _SECURITY else "packages"
        raise FetchError(
            f"no mirror of {distribution.title()}'s {what} is known",
            hint=f"set {mirror_variable(distribution, kind)} to the URI that an apt source would "
            "name, the folder above `dists`; the apt sources of this machine name none",
        )
    return tuple(dict.fromkeys(_checked(uri) for uri in uris))


def _checked(uri: str) -> str:
    if urlsplit(uri).scheme not in ("http", "https", "file"):
        raise FetchError(f"not a mirror's URI: {uri[:100]!r}", hint="http, https or file")
    return uri.rstrip("/")


def _machine(directory: Path) -> dict[str, str]:
    paths = (directory / "sources.list", *sorted((directory / "sources.list.d").glob("*")))
    return {str(path): _read(path) for path in paths}


def _apt_sources(texts: Mapping[str, str], distribution: str, expires: bool) -> Iterator[_Source]:
    """The distribution's entries among apt sources by path; others are left out."""
    for path, text in texts.items():
        if path.endswith(".list"):
            entries = _one_line(text)
        elif path.endswith(".sources"):
            entries = _deb822(text)
        else:
            continue
        for entry in entries:
            yield from _entries(entry, _SUITES[distribution], expires)


def _one_line(text: str) -> Iterator[Stanza]:
    """sources.list(5), one-line style, as stanzas of the other style."""
    for line in text.splitlines():
        matched = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if matched is None:
            continue
        suite, *components = matched["rest"].split()
        options = dict(
            option.split("=", 1) for option in (matched["options"] or "").split() if "=" in option
        )
        yield {
            "Types": "deb",
            "URIs": matched["uri"],
            "Suites": suite,
            "Components": " ".join(components),
            "Check-Valid-Until": options.get("check-valid-until", ""),
        }


def _deb822(text: str) -> Iterator[Stanza]:
    try:
        yield from stanzas(text)
    except IntegrityError:
        return  # apt itself would refuse the file; there is nothing to learn from it


def _entries(entry: Stanza, suites: re.Pattern[str], expires: bool) -> Iterator[_Source]:
    disabled = entry.get("Enabled", "yes").lower() in _NO
    binary = "deb" in entry.get("Types", "").split()
    if disabled or not binary or "main" not in entry.get("Components", "").split():
        return
    check = entry.get("Check-Valid-Until", "").lower()
    for suite in entry.get("Suites", "").split():
        matched = suites.fullmatch(suite)
        if matched is None:
            continue
        for uri in entry.get("URIs", "").split():
            for plain in _plain(uri):
                yield _Source(plain, bool(matched[1]), check not in _NO if check else expires)


def _plain(uri: str) -> Iterator[str]:
    """`uri`, or those in the file that a `mirror+file:` names (apt-transport-mirror(1))."""
    parts = urlsplit(uri)
    if parts.scheme == "mirror+file":
        for line in _read(Path(parts.path)).splitlines():
            fields = line.partition("#")[0].split()
            yield from (field for field in fields[:1] if urlsplit(field).scheme != "mirror+file")
    elif parts.scheme in ("http", "https", "file"):
        yield uri


def _apt_checks_expiry(directory: Path) -> bool:
    """False where apt itself was told `Acquire::Check-Valid-Until "false"`."""
    paths = (directory / "apt.conf", *sorted((directory / "apt.conf.d").glob("*")))
    setting = re.compile(r'^[^#/\n]*Check-Valid-Until\s+"?(\w+)"?\s*;', re.MULTILINE)
    values = [value.lower() for path in paths for value in setting.findall(_read(path))]
    return not values or values[-1] not in _NO


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace") if path.is_file() else ""
    except PermissionError:
        return ""  # such files hold credentials, and are not meant for this user
