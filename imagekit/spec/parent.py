# SPDX-License-Identifier: Apache-2.0
"""A base image that is another spec: which one it is, and where it stands."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from imagekit.spec.address import split
from imagekit.spec.finding import Finding
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen

_SUFFIXES = (".yaml", ".yml", ".py")


@frozen
class Stood:
    """A spec and its address, which its paths and its lock are relative to."""

    spec: ImageSpec
    path: Path


def names_spec(text: str) -> bool:
    """Whether a base image's name is the address of a spec: `FILE.yaml`, `FILE.py:NAME`."""
    return text.rpartition("/")[2].partition(":")[0].endswith(_SUFFIXES)


def parent_of(spec: ImageSpec, folder: Path) -> Stood | None:
    """The spec that `spec` stands on; None where its base is an image, or the embedded one.

    One that is a value stands for `NAME.yaml` in `folder`, NAME being the last part of its name.

    Raises:
        SpecError: it can't be read, or is wrong.
    """
    base = spec.base_image
    if isinstance(base, ImageSpec):
        return Stood(_complete(base), folder / f"{base.name.rpartition('/')[2]}.yaml")
    if base is None or not names_spec(base):
        return None
    path = folder / base
    return Stood(_loaded(path), path)


def _complete(spec: ImageSpec) -> ImageSpec:
    if not spec.plugins:
        return spec
    from imagekit.spec.plugins import with_plugins  # noqa: PLC0415 - most specs have none

    return with_plugins(spec)


def _loaded(path: Path) -> ImageSpec:
    from imagekit.spec.load import load_spec  # noqa: PLC0415 - most specs stand on none

    file = split(path)[0]
    if file.suffix == ".py" or not file.is_file():
        return load_spec(path)
    status = file.stat()
    return _read_once(path, status.st_mtime_ns, status.st_size, load_spec)


@functools.lru_cache(maxsize=64)
def _read_once(
    path: Path, _changed: int, _size: int, load_spec: Callable[[Path], ImageSpec]
) -> ImageSpec:
    """One build asks several times what its spec stands on."""
    return load_spec(path)


def lineage(spec: ImageSpec, path: Path) -> tuple[Stood, ...]:
    """The spec at `path` and those that it stands on: the first has a base that is no spec.

    Raises:
        SpecError: one of them can't be read, or stands on itself.
    """
    found = [Stood(spec, path)]
    seen = {_place(path)}
    while parent := parent_of(found[0].spec, found[0].path.parent):
        if _place(parent.path) in seen:
            from imagekit.spec.load import found_later  # noqa: PLC0415 - most specs stand on none

            message = f"base_image: {parent.path} stands on itself"
            hint = "specs that stand on each other need names of their own"
            raise found_later(found[0].path, [Finding("base_image", message, hint)])
        seen.add(_place(parent.path))
        found.insert(0, parent)
    return tuple(found)


def _place(path: Path) -> Path:
    return path.parent.resolve() / path.name
