# SPDX-License-Identifier: Apache-2.0
"""From a Python version to a Debian base, and from a base to its .debs on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

from imagekit.answers import Answers
from imagekit.debian.base import DebianBase, DebPackage
from imagekit.debian.index import Candidate, PackageIndex, fetch_index
from imagekit.debian.release import SuiteRelease, Trust, fetch_release
from imagekit.debian.releases import Release, architecture_for, content, release_for
from imagekit.debian.resolve import Resolver
from imagekit.debian.sources import Mirrors
from imagekit.errors import FetchError, LockError
from imagekit.fetch import fetch, fetch_small
from imagekit.progress import Progress, Silent, Task
from imagekit.values import frozen

_CONNECTIONS = 8


def resolve_base(
    python_version: str,
    platform: str,
    mirrors: Mirrors,
    *,
    extra_packages: Sequence[str] = (),
    now: datetime | None = None,
    progress: Progress | None = None,
    answers: Answers | None = None,
) -> DebianBase:
    """Choose the packages of a base from what the mirrors offer now.

    `platform` is OCI's name, such as `linux/amd64`; `extra_packages` are Debian package names
    that are installed too, with all that they need. `answers` keep lists that others read too.

    Raises:
        LockError: no release carries this Python, or packages can't be had together.
        FetchError: a mirror could not be asked.
        IntegrityError: a mirror's answer does not stand against the release's keys.
    """
    release, architecture = release_for(python_version), architecture_for(platform)
    lists = read_lists(release, architecture, mirrors, now=now, progress=progress, answers=answers)
    resolver = Resolver(lists.indexes, architecture, content().omitted)
    chosen = resolver.resolve((*release.packages, *extra_packages))
    return _base(release, architecture, chosen, lists.suites)


@frozen
class Lists:
    """The suites of a release as they are now, and the package list of each."""

    suites: Sequence[SuiteRelease]
    indexes: Sequence[PackageIndex]


def read_lists(
    release: Release,
    architecture: str,
    mirrors: Mirrors,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
    answers: Answers | None = None,
) -> Lists:
    """Those of a release, whose signature is checked. Raises as `resolve_base`."""

    def read() -> Lists:
        task = (progress or Silent()).task(f"reading {release.title}'s package lists")
        trust = Trust(release.keys, now or datetime.now(timezone.utc), mirrors.check_valid_until)
        try:
            suites = suite_releases(release, mirrors, trust)
            return Lists(suites, suite_indexes(suites, release.components, architecture, task))
        finally:
            task.done()

    question = ("package lists", release, architecture, mirrors, now)
    return (answers or Answers()).once(question, read)


def download_debs(
    base: DebianBase, mirrors: Mirrors, *, progress: Progress | None = None
) -> dict[str, Path]:
    """The base's packages as files of this machine, by sha256; see `download_packages`."""
    release = release_for(base.python_version)
    return download_packages(base.packages, release, base.architecture, mirrors, progress=progress)


def download_packages(
    packages: Sequence[DebPackage],
    release: Release,
    architecture: str,
    mirrors: Mirrors,
    *,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Packages of a release as files of this machine, by sha256.

    A package is asked for at its locked path of every mirror; where it is gone from there, the
    suites' lists of today are asked where its digest is kept now.

    Raises:
        FetchError: a package is nowhere any more.
    """
    total = sum(package.size_bytes for package in packages)
    task = (progress or Silent()).task(f"downloading {len(packages)} Debian packages", total)

    def attempt(package: DebPackage) -> tuple[DebPackage, Path | FetchError]:
        try:
            return package, _fetched(package, [package.filename], mirrors, task)
        except FetchError as error:
            return package, error

    try:
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            results = list(pool.map(attempt, packages))
        missing = [package for package, result in results if isinstance(result, FetchError)]
        lost = next((result for _, result in results if isinstance(result, FetchError)), None)
        if lost is not None and not release.keys:
            raise lost  # no list of today could be believed
        found = _elsewhere(missing, release, architecture, mirrors, task) if missing else {}
    finally:
        task.done()
    found.update({p.sha256: path for p, path in results if not isinstance(path, FetchError)})
    return {package.sha256: found[package.sha256] for package in packages}


def _elsewhere(
    missing: Iterable[DebPackage],
    release: Release,
    architecture: str,
    mirrors: Mirrors,
    task: Task,
) -> dict[str, Path]:
    trust = Trust(release.keys, datetime.now(timezone.utc), mirrors.check_valid_until)
    suites = suite_releases(release, mirrors, trust)
    indexes = suite_indexes(suites, release.components, architecture, task)
    found = {}
    for package in missing:
        moved = [name for index in indexes if (name := index.with_digest(package.sha256))]
        try:
            found[package.sha256] = _fetched(package, moved, mirrors, task)
        except FetchError as error:
            raise FetchError(
                f"Debian package {package.name} {package.version} is on no mirror any more: "
                f"{error.message}",
                hint="it was superseded: make the lock again (imagekit lock), or name a mirror "
                "that keeps old packages",
            ) from error
    return found


def _fetched(package: DebPackage, filenames: Sequence[str], mirrors: Mirrors, task: Task) -> Path:
    return fetch(
        [f"{uri}/{name}" for name in filenames for uri in mirrors.every],
        sha256=package.sha256,
        size_bytes=package.size_bytes,
        name=f"Debian package {package.name}",
        advance=task.advance,
    )


def suite_releases(release: Release, mirrors: Mirrors, trust: Trust) -> list[SuiteRelease]:
    def one(suite: str) -> SuiteRelease:
        security = suite == release.security_suite
        uris = mirrors.security if security else mirrors.main
        return fetch_release(uris, suite, trust, fetch_small)

    with ThreadPoolExecutor(len(release.suites)) as pool:
        return list(pool.map(one, release.suites))


def suite_indexes(
    suites: Sequence[SuiteRelease], components: Sequence[str], architecture: str, task: Task
) -> list[PackageIndex]:
    wanted = [(suite, component) for suite in suites for component in components]

    def one(pair: tuple[SuiteRelease, str]) -> PackageIndex:
        return fetch_index(pair[0], architecture, pair[1], advance=task.advance)

    with ThreadPoolExecutor(len(wanted)) as pool:
        return list(pool.map(one, wanted))


def _base(
    release: Release,
    architecture: str,
    chosen: Sequence[Candidate],
    suites: Sequence[SuiteRelease],
) -> DebianBase:
    versions = {candidate.name: candidate.version for candidate in chosen}
    libc = re.match(r"(\d+)\.(\d+)", versions["libc6"])
    python = re.match(r"\d+\.\d+\.\d+", versions.get(f"python{release.python}-minimal", ""))
    if libc is None or python is None:
        raise LockError(f"Debian {release.name} does not carry Python {release.python} any more")
    return DebianBase(
        release.name,
        architecture,
        python[0],
        f"/usr/bin/python{release.python}",
        ("glibc", int(libc[1]), int(libc[2])),
        tuple(locked_package(candidate) for candidate in chosen),
        tuple((suite.suite, suite.date.strftime("%Y-%m-%dT%H:%M:%SZ")) for suite in suites),
    )


def locked_package(candidate: Candidate) -> DebPackage:
    return DebPackage(
        candidate.name,
        candidate.version,
        candidate.architecture,
        candidate.filename,
        candidate.sha256,
        candidate.size_bytes,
    )
