# SPDX-License-Identifier: Apache-2.0
"""uv.lock: walked from the project through the dependencies that hold on the target.

Groups are taken when they are named, `dev` too. Members of the workspace are walked through and
not installed: their code is the spec's to copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from imagekit.errors import LockError
from imagekit.lock.pins.selection import Pin, Selection, hashes, no_wheel

_LOCAL = ("editable", "virtual", "directory")
_Package = Mapping[str, Any]


def pins(document: Mapping[str, Any], selection: Selection) -> dict[str, Pin]:
    """By name, each package that the project needs."""
    if document.get("version") != 1:
        raise LockError(f"{selection.source} has version {document.get('version')!r}, not 1")
    return _Walk(document, selection).run()


class _Walk:
    def __init__(self, document: Mapping[str, Any], selection: Selection) -> None:
        self._selection = selection
        self._packages: list[_Package] = document.get("package", [])
        self._seen: set[tuple[int, str]] = set()
        self._found: dict[str, Pin] = {}

    def run(self) -> dict[str, Pin]:
        root = self._root()
        extras = root.get("optional-dependencies", {})
        groups = root.get("dev-dependencies", {})
        self._selection.refuse_unknown(extras, groups)
        pending = [*self._enter(root, "")]
        for name in sorted(self._selection.extras):
            pending += self._enter(root, name)
        for name in sorted(self._selection.groups):
            pending += self._follow(groups[name])
        while pending:
            package, extra = pending.pop()
            self._take(package)
            pending += self._enter(package, extra)
        return self._found

    def _root(self) -> _Package:
        for package in self._packages:
            source = package["source"]
            if "." in (source.get("editable"), source.get("virtual")):
                return package
        raise LockError(f"{self._selection.source} names no project of its own folder")

    def _enter(self, package: _Package, extra: str) -> Iterator[tuple[_Package, str]]:
        """The dependencies of a package, or of one of its extras; each once."""
        key = (id(package), extra)
        if key in self._seen:
            return
        self._seen.add(key)
        optional = package.get("optional-dependencies", {})
        yield from self._follow(
            optional.get(extra, []) if extra else package.get("dependencies", [])
        )

    def _follow(self, dependencies: list[Mapping[str, Any]]) -> Iterator[tuple[_Package, str]]:
        for dependency in dependencies:
            if self._selection.fits(dependency.get("marker")):
                package = self._named(dependency)
                yield package, ""
                yield from ((package, extra) for extra in dependency.get("extra", ()))

    def _named(self, dependency: Mapping[str, Any]) -> _Package:
        """The package that a dependency means: where there are several, it says which."""
        for package in self._packages:
            keys = [key for key in ("name", "version", "source") if key in dependency]
            if all(package.get(key) == dependency[key] for key in keys):
                return package
        raise LockError(f"{self._selection.source} lacks {dependency['name']}")

    def _take(self, package: _Package) -> None:
        source, name = package["source"], package["name"]
        if any(key in source for key in _LOCAL):
            return
        if "path" in source:
            raise no_wheel(self._selection.source, name, "a path")
        files = package.get("wheels") or [package.get("sdist", {})]
        url = _repository(source["git"]) if "git" in source else source.get("url", "")
        held = hashes(self._selection.source, name, files)
        self._found[name] = Pin(name, package["version"], held, url)


def _repository(url: str) -> str:
    """`URL?rev=...&subdirectory=...#COMMIT` as a requirement writes it."""
    parts = urlsplit(url)
    below = dict(parse_qsl(parts.query)).get("subdirectory")
    place = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    return f"git+{place}@{parts.fragment}" + (f"#subdirectory={below}" if below else "")
