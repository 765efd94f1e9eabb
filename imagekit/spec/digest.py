# SPDX-License-Identifier: Apache-2.0
"""When does a lock no longer belong to its spec? When this digest differs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from imagekit.spec.addresses import requirement_lines
from imagekit.spec.foreign_locks import content_digest, is_lock
from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import parent_of
from imagekit.spec.plain import plain
from imagekit.urls import masked, without_credentials


def spec_digest(spec: ImageSpec, folder: Path) -> str:
    """Digest of what decides a resolution: not of names, environment, labels or sources.

    Order and spelling of packages do not matter, nor do credentials or comments.

    Raises:
        SpecError: the requirements file, or a folder that packages come from, can't be read.
    """
    decisive = {
        "base_image": _base(spec, folder),
        "builder_options": {
            name: value
            for name, value in spec.builder_options.items()
            if name.startswith("debian_")  # the others say how images are built, not of what
        },
        "object_storage": spec.object_storage,
        "packages": sorted({masked(_canonical(text)) for text in spec.packages}),
        "pip_extra_index_url": [without_credentials(url) for url in spec.pip_extra_index_url],
        "pip_index": None if spec.pip_index is None else without_credentials(spec.pip_index),
        "platform": spec.platform,
        "python_version": spec.python_version,
        "requirements": _requirements(spec, folder),
    }
    folders = _folders(spec, folder)
    if folders:
        decisive["folders"] = folders
    if spec.runtime_packages:
        decisive["runtime_packages"] = sorted(map(_canonical, spec.runtime_packages))
    for name in ("pip_extra_args", "python_exec"):
        if getattr(spec, name) is not None:
            decisive[name] = getattr(spec, name)
    if spec.cuda is not None:
        decisive["cuda"] = f"{spec.cuda} {spec.cudnn}"
    if spec.apt_packages:
        decisive["apt_packages"] = list(spec.apt_packages)
    encoded = json.dumps(decisive, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(encoded.encode()).hexdigest()


def _folders(spec: ImageSpec, folder: Path) -> dict[str, str]:
    """What stands in the folders and archives on this machine that packages are built from."""
    paths = set()
    for text in (*spec.packages, *requirement_lines(spec, folder)):
        if plain(text) is None:
            from imagekit.spec.source import local_path  # noqa: PLC0415 - it brings a parser

            paths.add(local_path(text))
    return {path: _tree(folder / path) for path in sorted(paths - {""})}


def _tree(place: Path) -> str:
    from imagekit.spec.source_tree import tree_digest  # noqa: PLC0415 - most specs name none

    return tree_digest(place)


def _base(spec: ImageSpec, folder: Path) -> str:
    parent = parent_of(spec, folder)
    if parent is not None:
        return spec_digest(parent.spec, parent.path.parent)
    return str(spec.base_image or "debian")


def _requirements(spec: ImageSpec, folder: Path) -> list[object]:
    if spec.requirements is None:
        return []
    path = folder / spec.requirements
    if is_lock(path.name):
        return [[path.name, content_digest(path)], list(spec.extras), list(spec.groups)]
    from imagekit.spec.requirements_file import read  # noqa: PLC0415 - it brings a parser

    contents = read(path).contents
    return [[name, [masked(line) for line in lines]] for name, lines in contents]


def _canonical(text: str) -> str:
    found = plain(text)
    if found is None:
        from imagekit.spec.source import canonical  # noqa: PLC0415 - it brings a parser

        found = canonical(text)
    return found
