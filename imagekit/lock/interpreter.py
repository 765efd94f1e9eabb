# SPDX-License-Identifier: Apache-2.0
"""Which interpreter a base has, as far as that decides the bytecode that it writes.

Bases with the same one share the layers of wheels. It is named by content and not by its version:
what a base says of itself must not decide what stands in the images of others. That content is the
program, the shared libraries that it names, and every module that can be loaded before the first
file is compiled (`layers/compile_server.py`, which starts without `site` and without the base's own
bytecode).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from posixpath import dirname
from typing import Protocol, final

from imagekit.layers.bytecode import inside, library_folders
from imagekit.lock.facts import facts_of, only_facts
from imagekit.lock.tree import Tree

FOLDERS = ("", "/collections", "/encodings", "/importlib", "/lib-dynload")
_NEVER_LOADED = frozenset({"sitecustomize.py", "usercustomize.py"})


def library_of(python_path: str) -> str:
    """Where the modules of an interpreter lie, its FOLDERS below it."""
    return f"{dirname(dirname(python_path))}/lib/python{python_path.rpartition('python')[2]}"


class Files(Protocol):
    """The files of a base; paths are absolute, and links are followed as inside it."""

    def names(self, folder: str) -> Iterable[str]:
        """What stands in a folder, in any order; nothing where there is none."""

    def facts(self, path: str) -> str | None:
        """What `facts_of` says of a file, "" where it was not looked at; None for no file."""


def interpreter_identity(files: Files, python_path: str, machine: str) -> str | None:
    """A digest of all that decides what the interpreter at `python_path` compiles to.

    None where that is unknown: files of it are missing, or lie where nobody looked.
    """
    modules = {path: files.facts(path) for path in _modules(files, library_of(python_path))}
    programs = _programs(files, python_path, machine)
    if not modules or not programs.get(python_path):
        return None
    found = {path: facts for path, facts in (modules | programs).items() if facts is not None}
    if not all(found.values()):
        return None
    digests = {path: facts.split()[0] for path, facts in found.items()}
    return "sha256:" + hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _programs(files: Files, python_path: str, machine: str) -> dict[str, str | None]:
    """The interpreter, and wherever they lie the libraries that it and they need."""
    found = {python_path: files.facts(python_path)}
    pending, seen = [python_path], set[str]()
    while pending:
        _, *needed = (found[pending.pop()] or "").split() or [""]
        for name in sorted(set(needed) - seen):
            seen.add(name)
            for folder in library_folders(machine):
                path = f"/{folder}/{name}"
                found[path] = files.facts(path)
                pending.append(path)
    return found


def _modules(files: Files, library: str) -> Iterator[str]:
    for folder in FOLDERS:
        for name in files.names(f"{library}{folder}"):
            if name.endswith((".py", ".so")) and name not in _NEVER_LOADED:
                yield f"{library}{folder}/{name}"


@final
class LayeredFiles:
    """Those of a tree of layers whose inspectors kept the facts as words, among others."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def names(self, folder: str) -> Iterable[str]:
        return self._tree.names(folder)

    def facts(self, path: str) -> str | None:
        found = self._tree.find(path)
        if found is None or found[1].kind != "file":
            return None
        return only_facts("".join(found[1].kept))


@final
class UnpackedFiles:
    """Those of a base that lies unpacked in `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, folder: str) -> Iterable[str]:
        place = inside(self._root, folder)
        return [path.name for path in place.iterdir()] if place.is_dir() else []

    def facts(self, path: str) -> str | None:
        place = inside(self._root, path)
        return facts_of(place.read_bytes()) if place.is_file() else None
