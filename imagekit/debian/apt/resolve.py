# SPDX-License-Identifier: Apache-2.0
"""From `apt_packages` and a base to the set of packages that the lock keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from imagekit.answers import Answers
from imagekit.debian.apt.installed import installed
from imagekit.debian.apt.scripts import has_to_run, interests, runs_first
from imagekit.debian.apt.section import AptSet
from imagekit.debian.apt.select import Archive, Selection
from imagekit.debian.archive import control_files
from imagekit.debian.assemble import download_packages, locked_package, read_lists
from imagekit.debian.base import DebianBase, DebPackage
from imagekit.debian.index import Candidate, PackageIndex, candidate_of
from imagekit.debian.releases import ARCHITECTURES, Release, release_named
from imagekit.debian.sources import Mirrors
from imagekit.debian.status import control_fields
from imagekit.errors import LockError
from imagekit.progress import Progress
from imagekit.values import frozen

_OF_SCRIPTS = frozenset({"debconf", "debconf-2.0", "install-info"})
"""Only maintainer scripts use these: where none has to run, they are not needed."""


@frozen
class AptBase:
    """What packages are added to.

    Attributes:
        release: its code name, as os-release(5) has it; of another distribution than Debian with
            that one's name before it.
        status: dpkg's file of what is installed; empty where there is none.
        triggers: dpkg's file of triggers on paths (`triggers/File`).
        embedded: the base itself, where it is the embedded one; then the other two don't count.
        keys: OpenPGP certificates that its own apt believes.
        sources: its own apt's sources, by path; asked for where nobody else names a mirror.
        below: packages that a spec below has added to it; they stay, as those of the base.
    """

    release: str
    status: str = ""
    triggers: str = ""
    embedded: DebianBase | None = None
    keys: tuple[bytes, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    below: tuple[DebPackage, ...] = ()


def resolve_apt(
    requested: Sequence[str],
    base: AptBase,
    platform: str,
    mirrors: Mirrors,
    progress: Progress,
    answers: Answers | None = None,
) -> AptSet:
    """Choose what has to be added to `base` for `requested`, each `NAME` or `NAME=VERSION`.

    What `base.below` holds is part of the result, at its versions unless others are asked for.
    Downloads the packages too: only they tell whether scripts have to run.

    Raises:
        LockError: something can't be had, or two packages exclude each other.
        FetchError: a mirror could not be asked.
        IntegrityError: a mirror's answer does not stand against the release's keys.
    """
    release, architecture = release_named(base.release, base.keys), ARCHITECTURES[platform]
    if not release.keys:
        raise LockError(
            f"apt_packages: the base has no keys of {release.distribution.title()}'s archive, so "
            "its packages can't be verified",
            hint=f"take a base that has {release.distribution}-keyring",
        )
    lists = read_lists(release, architecture, mirrors, progress=progress, answers=answers)
    downloads = _Downloads(release, architecture, mirrors, progress)
    dates = tuple((each.suite, each.date.strftime("%Y-%m-%dT%H:%M:%SZ")) for each in lists.suites)
    resolution = _Resolution(requested, base, lists.indexes, downloads)
    return resolution.run(AptSet(base.release, architecture, (), (), (), (), dates))


@frozen
class _Downloads:
    release: Release
    architecture: str
    mirrors: Mirrors
    progress: Progress

    def controls(self, packages: Sequence[DebPackage]) -> dict[str, Mapping[str, bytes]]:
        """The control files of each, by name."""
        files: Mapping[str, Path] = download_packages(
            packages, self.release, self.architecture, self.mirrors, progress=self.progress
        )
        return {each.name: control_files(files[each.sha256]) for each in packages}

    def candidates(self, packages: Sequence[DebPackage]) -> dict[str, Candidate]:
        """What each says of others, whether or not a list still has it, by name."""
        controls = self.controls(packages)
        return {
            each.name: replace(
                candidate_of(control_fields(controls[each.name]), self.architecture),
                filename=each.filename,
                sha256=each.sha256,
                size_bytes=each.size_bytes,
            )
            for each in packages
        }


class _Resolution:
    def __init__(
        self,
        requested: Sequence[str],
        base: AptBase,
        indexes: Sequence[PackageIndex],
        downloads: _Downloads,
    ) -> None:
        pairs = [text.partition("=") for text in requested]
        self._names = [name for name, _, _ in pairs]
        pins = {name: version for name, _, version in pairs if version}
        self._base = base
        self._downloads = downloads
        self._archive = Archive(indexes, downloads.architecture, pins)
        self._essential = sorted({name for index in indexes for name in index.essential()})
        self._of_base = self._presence(downloads.architecture)
        self._present = {**self._of_base, **downloads.candidates(base.below)}

    def run(self, found: AptSet) -> AptSet:
        """`found`, with its packages."""
        packages = self._selected(self._names, whole=False)
        controls = self._downloads.controls(packages)
        scripts = self._scripts(controls)
        if not scripts:
            return replace(found, packages=packages)
        again: tuple[DebPackage, ...] = ()
        if self._base.embedded is not None:
            # Scripts may lean on all of Essential, and on what their packages depend on.
            packages = self._selected([*self._names, *self._missing_essential()], whole=True)
            controls = self._downloads.controls(packages)
            scripts = self._scripts(controls)
            again = self._waiting(self._base.embedded, packages)
        elif "dpkg" not in self._present:
            raise LockError(
                f"apt_packages: the scripts of {', '.join(scripts)} have to run, and the base has "
                "no dpkg to run them"
            )
        first = tuple(name for name in controls if runs_first(controls[name]))
        return replace(found, packages=packages, scripts=scripts, first=first, again=again)

    def _waiting(self, base: DebianBase, packages: Sequence[DebPackage]) -> tuple[DebPackage, ...]:
        """Packages of `base` that wait for triggers; dpkg has to know of them."""
        replaced = {package.name for package in packages}
        kept = [each for each in base.packages if each.name not in replaced]
        controls = self._downloads.controls(kept)
        return tuple(each for each in kept if interests(controls[each.name]))

    def _presence(self, architecture: str) -> Mapping[str, Candidate]:
        if self._base.embedded is None:
            present = installed(self._base.status, architecture)
            if not present:
                raise LockError(
                    "apt_packages: the base has no database of dpkg",
                    hint="take a base of Debian, or leave apt_packages out",
                )
            return present
        found = {}
        for package in self._base.embedded.packages:
            for candidate in self._archive.versions(package.name):
                if candidate.version == package.version:
                    found[package.name] = candidate
        gone = [each for each in self._base.embedded.packages if each.name not in found]
        return {**found, **self._downloads.candidates(gone)}

    def _missing_essential(self) -> list[str]:
        return [name for name in self._essential if name not in self._present]

    def _selected(self, names: Sequence[str], *, whole: bool) -> tuple[DebPackage, ...]:
        omitted = () if whole or self._base.embedded is None else _OF_SCRIPTS
        selection = Selection(self._archive, self._present, omitted)
        chosen = selection.install(sorted(set(names)), whole=whole)
        found = {each.name: each for each in self._base.below}
        found.update((name, locked_package(each)) for name, each in chosen.items())
        return tuple(found[name] for name in sorted(found))

    def _scripts(self, controls: Mapping[str, Mapping[str, bytes]]) -> tuple[str, ...]:
        """Also those that replace a package of the base, or touch what the base waits for."""
        waited = [] if self._base.embedded else _waited_for(self._base.triggers)
        return tuple(
            name
            for name, control in controls.items()
            if name in self._of_base or has_to_run(control) or _touches(control, waited)
        )


def _waited_for(triggers: str) -> list[str]:
    """Paths, without the leading slash."""
    return [line.split()[0].strip("/") for line in triggers.splitlines() if line.strip()]


def _touches(control: Mapping[str, bytes], waited: Sequence[str]) -> bool:
    if not waited:
        return False
    lines = control.get("md5sums", b"").decode("utf-8", "surrogateescape").splitlines()
    paths = [line.partition("  ")[2] for line in lines]
    return any(path.startswith(f"{each}/") for path in paths for each in waited)
