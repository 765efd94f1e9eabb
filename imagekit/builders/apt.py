# SPDX-License-Identifier: Apache-2.0
"""The layers of `apt_packages`: the files of packages in groups, then what dpkg knows of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, final

from imagekit.builders.layerings import Layering, Sources, recipe_of
from imagekit.debian.apt.recipe import apt_workings
from imagekit.debian.apt.section import AptSet
from imagekit.debian.base import DebPackage
from imagekit.jobs.job import Job
from imagekit.layers import formats
from imagekit.layers.grouping import Weighed, arrange
from imagekit.progress import Progress
from imagekit.values import frozen

if TYPE_CHECKING:
    from imagekit.debian.apt.root import BaseRoot
    from imagekit.layers.writer import LayerWriter

GROUPS = 8
"""Layers that the packages' files are spread over, at most."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@frozen
class AptContext:
    """What the layers depend on beside the packages.

    Attributes:
        base: names the base in recipes.
        root: what of the base decides where files go; may take long.
        options: the spec's builder options, which name mirrors.
        progress: of downloads.
        sources: the base's own apt sources by path; may take long.
        embedded: whether it is the embedded one.
    """

    base: str
    root: Callable[[], BaseRoot]
    options: Mapping[str, str]
    progress: Progress
    sources: Callable[[], Mapping[str, str]]
    embedded: bool


def apt_layerings(section: Mapping[str, object], context: AptContext) -> list[Layering]:
    """The layers of the lock's section `apt`, in their order."""
    return list(_Apt(AptSet.from_dict(section), context).layerings())


@final
class _Apt:
    def __init__(self, found: AptSet, context: AptContext) -> None:
        self._found = found
        self._context = context

    def layerings(self) -> Sequence[Layering]:
        early = [each for each in self._found.packages if each.name not in self._found.first]
        by_name = {each.name: each for each in early}
        weighed = [Weighed(each.name, each.size_bytes) for each in early]
        groups = [
            self._group([by_name[each.name] for each in group])
            for group in arrange(weighed, GROUPS)
        ]
        return [*groups, self._job() if self._found.scripts else self._registration()]

    def _group(self, packages: Sequence[DebPackage]) -> Layering:
        def write(writer: LayerWriter, _: Sources) -> None:
            from imagekit.debian.apt.layer import write_group  # noqa: PLC0415 - plans write none

            debs = self._download(packages)
            write_group(writer, [(p, debs[p.sha256]) for p in packages], self._context.root())

        names = " ".join(f"{each.name}={each.version}" for each in packages)
        return Layering(
            self._recipe("debs", packages),
            f"imagekit: apt {names}",
            write,
            from_bytes=sum(each.size_bytes for each in packages),
        )

    def _registration(self) -> Layering:
        packages = self._found.packages

        def write(writer: LayerWriter, _: Sources) -> None:
            from imagekit.debian.apt.register import write_registration  # noqa: PLC0415 - as above

            debs = self._download(packages)
            pairs = [(each, debs[each.sha256]) for each in packages]
            write_registration(writer, pairs, self._context.root(), self._found.architecture)

        return Layering(
            self._recipe("dpkg", packages),
            f"imagekit: dpkg's database with {len(packages)} packages",
            write,
            from_bytes=sum(each.size_bytes for each in packages),
        )

    def _job(self) -> Layering:
        from imagekit.debian.apt.configure import (  # noqa: PLC0415 - most sets run none
            DEBS,
            FORGET,
            deb_name,
            debs_of,
            dpkg_script,
        )

        script = dpkg_script(self._found, embedded=self._context.embedded)
        debs = debs_of(self._found)

        def prepare(job: Job) -> Job:
            files = self._download(debs)
            pairs = [(str(files[each.sha256]), f"{DEBS}/{deb_name(each)}") for each in debs]
            return dataclasses.replace(job, files=tuple(pairs))

        names = " ".join(self._found.scripts)
        return Layering(
            self._recipe(formats.JOB, debs, script=script),
            f"imagekit: dpkg, not reproducible: the scripts of {names}",
            Job(
                "apt_packages",
                ("/bin/sh", "-c", script),
                {"PATH": _PATH, "HOME": "/root", "LC_ALL": "C.UTF-8"},
                forget=FORGET,
            ),
            from_bytes=sum(each.size_bytes for each in debs),
            prepare=prepare,
        )

    def _recipe(self, kind: str, packages: Sequence[DebPackage], **parts: str) -> str:
        digests = [each.sha256 for each in packages]
        made_by = apt_workings()
        return recipe_of(kind, base=self._context.base, debs=digests, made_by=made_by, **parts)

    def _download(self, packages: Sequence[DebPackage]) -> Mapping[str, Path]:
        context = self._context
        return fetch_debs(self._found, packages, context.options, context.progress, context.sources)


def fetch_debs(
    found: AptSet,
    packages: Sequence[DebPackage],
    options: Mapping[str, str],
    progress: Progress,
    sources: Callable[[], Mapping[str, str]],
) -> Mapping[str, Path]:
    """Some of the packages that `found` speaks of as files of this machine, by sha256.

    `sources` gives the base's own apt sources by path.

    Raises FetchError where one is nowhere any more.
    """
    from imagekit.debian.assemble import download_packages  # noqa: PLC0415 - plans fetch none
    from imagekit.debian.releases import release_named  # noqa: PLC0415
    from imagekit.debian.sources import find_mirrors  # noqa: PLC0415

    release = release_named(found.release)
    mirrors = find_mirrors(os.environ, options, distribution=release.distribution, base=sources)
    return download_packages(packages, release, found.architecture, mirrors, progress=progress)
