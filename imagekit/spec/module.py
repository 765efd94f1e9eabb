# SPDX-License-Identifier: Apache-2.0
"""Specs that are values in a Python file: `spec.py:image` is the one called `image` there."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

from imagekit.errors import Problem, SpecError
from imagekit.spec.loaded import remember_loaded, source_files
from imagekit.spec.model import ImageSpec

_MODULE = "_imagekit_spec_"


def module_specs(path: Path) -> dict[str, ImageSpec]:
    """The public names in the file at `path` that are specs; its code is run for that.

    It finds modules beside it, and what it prints goes to stderr.

    Raises:
        SpecError: it does not run, with the line, or holds no spec.
    """
    found = importlib.util.spec_from_file_location(f"{_MODULE}{path.stem}", path)
    if found is None or found.loader is None:
        raise SpecError(str(path), [Problem("is no Python file")])
    module = importlib.util.module_from_spec(found)
    with _beside(path.parent), contextlib.redirect_stdout(sys.stderr), _alone(path):
        # Classes of the file look their module up while they are made.
        sys.modules[found.name] = module
        try:
            found.loader.exec_module(module)
        except Exception as error:
            raise SpecError(str(path), [_problem(path, error)]) from error
        finally:
            del sys.modules[found.name]
    specs = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, ImageSpec) and not name.startswith("_")
    }
    if not specs:
        raise SpecError(str(path), [Problem("holds no ImageSpec", hint="image = ImageSpec(...)")])
    return {name: _on_names(spec, specs, path) for name, spec in specs.items()}


def _on_names(spec: ImageSpec, specs: Mapping[str, ImageSpec], path: Path) -> ImageSpec:
    """A base that is a spec of the same file is named, so that it has one lock and not two."""
    for name, other in specs.items():
        if spec.base_image is other:
            return dataclasses.replace(spec, base_image=f"{path.name}:{name}")
    return spec


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[None]:
    entry = str(folder.absolute())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """The file loads the modules that are source anew: others of their names may be loaded."""
    others = _source_modules()
    for name in others:
        del sys.modules[name]
    try:
        yield
    finally:
        brought = _source_modules()
        remember_loaded(path, brought.values())
        for name in brought:
            del sys.modules[name]
        sys.modules.update(others)


def _source_modules() -> dict[str, ModuleType]:
    loaded = [*sys.modules.items()]
    return {name: each for name, each in loaded if name != "__main__" and source_files([each])}


def _problem(path: Path, error: Exception) -> Problem:
    """What went wrong, at the line of the file that was being run."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == path
    ]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    hint = None
    if isinstance(error, ModuleNotFoundError):
        hint = f"install {error.name} here, or keep specs in a file of their own"
    return Problem(f"does not run: {type(error).__name__}: {said}", line, hint)
