# SPDX-License-Identifier: Apache-2.0
"""The layer by which the loader finds the libraries of wheels: its configuration, and its cache.

The cache is the base's with these libraries behind its own. What runs ldconfig(8) later, as
NVIDIA's container runtime does at the start of a container, comes to the same by the configuration.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imagekit.builders.apt import AptContext, fetch_debs
from imagekit.builders.layerings import Layering, Sources, recipe_of
from imagekit.debian.apt.recipe import apt_workings
from imagekit.debian.apt.section import AptSet
from imagekit.debian.releases import architecture_for
from imagekit.layers import formats
from imagekit.planning.steps import ListLibraries

if TYPE_CHECKING:
    from imagekit.layers.writer import LayerWriter

CACHE = "etc/ld.so.cache"
CONFIGURATION = "etc/ld.so.conf.d/zz-nvidia-wheels.conf"
"""Read after the base's own, whose libraries come first."""

_SITE_PACKAGES = "site-packages/"


def libraries_layering(step: ListLibraries, context: AptContext) -> Layering:
    """The layer of `step` over the base that `context` says."""
    found = None if step.section is None else AptSet.from_dict(step.section)

    def write(writer: LayerWriter, sources: Sources) -> None:
        # Plans write none.
        from imagekit.debian.ldcache import extended  # noqa: PLC0415

        libraries = sorted(_libraries(step, sources))
        used = {path.rpartition("/")[0] for _, path in libraries}
        lines = "".join(f"{folder}\n" for folder in step.folders if folder in used)
        cache = extended(_below(found, context), libraries, architecture_for(step.platform))
        writer.file(CACHE, cache)
        writer.file(CONFIGURATION, lines.encode())

    recipe = recipe_of(
        formats.LIBRARIES,
        base=context.base,
        debs=[] if found is None else [each.sha256 for each in found.packages],
        wheels=[wheel.sha256 for wheel in step.wheels],
        folders=step.folders,
        made_by=None if found is None else apt_workings(),
    )
    return Layering(recipe, "imagekit: loader's cache with libraries of nvidia-* wheels", write)


def _libraries(step: ListLibraries, sources: Sources) -> Iterator[tuple[str, str]]:
    """Each library's name and path: wheels hold no links, so a file is called by its soname."""
    for wheel in step.wheels:
        with zipfile.ZipFile(sources.wheel(wheel).path) as archive:
            for member in archive.namelist():
                folder, _, name = member.rpartition("/")
                place = next((x for x in step.folders if x.endswith(_SITE_PACKAGES + folder)), None)
                if place is not None and name.startswith("lib") and ".so" in name:
                    yield name, f"{place}/{name}"


def _below(found: AptSet | None, context: AptContext) -> bytes:
    """The loader's cache of the base, and of the Debian packages that lie on it."""
    from imagekit.debian.apt.register import loader_cache  # noqa: PLC0415 - plans write none

    packages = () if found is None else found.packages
    root = context.root()
    if found is None:
        return root.data(CACHE)
    debs = fetch_debs(found, packages, context.options, context.progress, context.sources)
    pairs = [(each, debs[each.sha256]) for each in packages]
    return loader_cache(pairs, root, found.architecture)
