# SPDX-License-Identifier: Apache-2.0
"""`source_copy_mode: loaded_modules`: which files the code has loaded that says the spec.

Of a spec in a Python file these are the modules that running the file loads, and the file; of a
value those of this process.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from imagekit.spec.address import split
from imagekit.spec.model import ImageSpec

_PACKAGE = Path(__file__).parent.parent
_OURS = tuple(str(_PACKAGE.with_name(name)) for name in ("imagekit", "entrypoint", "sidecars"))
_by_file: dict[Path, frozenset[Path]] = {}


def loaded_files(spec: ImageSpec, spec_path: Path) -> frozenset[Path] | None:
    """The files below `source_root` that are its source; None where that is the whole folder."""
    if spec.source_copy_mode != "loaded_modules" or spec.source_root is None:
        return None
    path = split(spec_path)[0].resolve()
    found = _by_file[path] if path in _by_file else source_files([*sys.modules.values()])
    root = (spec_path.parent / spec.source_root).resolve()
    return frozenset(file for file in found if root in file.parents)


def remember_loaded(path: Path, modules: Iterable[ModuleType]) -> None:
    """What running the spec's file at `path` has loaded."""
    _by_file[path.resolve()] = source_files(modules) | {path.resolve()}


def source_files(modules: Iterable[ModuleType]) -> frozenset[Path]:
    """The files of modules that are neither installed, nor Python's own or ours."""
    named = {getattr(module, "__file__", None) for module in modules}
    files = (Path(name).resolve() for name in named if name and not _is_installed(name))
    return frozenset(file for file in files if file.is_file() and not _is_installed(str(file)))


def _is_installed(file: str) -> bool:
    return any(file.startswith(f"{place}{os.sep}") for place in _installed())


@functools.cache
def _installed() -> tuple[str, ...]:
    import sysconfig  # noqa: PLC0415 - most specs are YAML

    paths = {place for name, place in sysconfig.get_paths().items() if name != "data"}
    return (*sorted({each for path in paths for each in (path, os.path.realpath(path))}), *_OURS)
