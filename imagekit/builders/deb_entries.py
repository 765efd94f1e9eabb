# SPDX-License-Identifier: Apache-2.0
"""Debian packages whose scripts have to run, as files for one step of a Dockerfile."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from imagekit.builders.apt import fetch_debs
from imagekit.buildkit.tree import Entry
from imagekit.debian.apt.configure import deb_name, debs_of, dpkg_script
from imagekit.debian.apt.section import AptSet
from imagekit.debian.base import DebPackage
from imagekit.lock.model import Lock
from imagekit.progress import Progress

_FOLDER = "debs"


def deb_entries(
    lock: Lock,
    options: Mapping[str, str],
    progress: Progress,
    sources: Callable[[], Mapping[str, str]],
) -> tuple[Entry, ...]:
    """The packages and the script; nothing where no script has to run.

    `sources` gives the base's own apt sources by path.

    Raises FetchError where a package is nowhere any more.
    """
    found = None if lock.apt is None else AptSet.from_dict(lock.apt)
    if found is None or not found.scripts:
        return ()
    debs = debs_of(found)
    files = fetch_debs(found, debs, options, progress, sources)
    script = dpkg_script(found, embedded=lock.base["kind"] == "debian").encode()

    def entry(package: DebPackage) -> Entry:
        path = f"{_FOLDER}/{deb_name(package)}"
        file = files[package.sha256]
        return Entry(path, 0o644, file, None, package.size_bytes, package.sha256)

    return (Entry.made(f"{_FOLDER}/install.sh", script), *map(entry, debs))
