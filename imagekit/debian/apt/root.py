# SPDX-License-Identifier: Apache-2.0
"""The root that packages are unpacked over: where a path really leads, and what dpkg was told."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

from imagekit.debian.releases import Content
from imagekit.debian.tree import DIRECTORY, LINK, Node, Tree
from imagekit.errors import BuildError

_LINKS_FOLLOWED = 40
_NEW_FOLDER = Node(DIRECTORY, 0o755)


class BaseRoot:
    """A base as it lies on this machine; nothing is written to it."""

    def __init__(self, tree: Tree, content: Content | None) -> None:
        """`content`: of the embedded base, which leaves out by that, not by dpkg's settings."""
        self.tree = tree
        self._folders: dict[str, str] = {}
        self._rules = rules_of(content) if content is not None else self._dpkg_rules()
        self._diversions = self._read_diversions()

    def text(self, path: str) -> str:
        """A small text; empty where there is none."""
        return self.data(path).decode("utf-8", "surrogateescape")

    def data(self, path: str) -> bytes:
        """A small file; empty where there is none."""
        real = self.tree.resolve(path)
        if real is None or self.tree.nodes[real].kind == DIRECTORY:
            return b""
        return self.tree.read(real)

    def node(self, path: str) -> Node | None:
        """What stands at `path` itself."""
        return self.tree.nodes.get(path)

    def folder(self, path: str) -> Node:
        """Mode and owner of a folder; where there is none, of the one that dpkg would make."""
        found = self.node(path)
        return found if found is not None and found.kind == DIRECTORY else _NEW_FOLDER

    def real(self, path: str) -> str:
        """`path` with links to folders above it followed inside the root."""
        folder, _, name = path.rpartition("/")
        if not folder:
            return name
        if folder not in self._folders:
            self._folders[folder] = self._followed(folder, _LINKS_FOLLOWED)
        real = self._folders[folder]
        return f"{real}/{name}" if real else name

    def diverted(self, path: str, package: str) -> str:
        """Where dpkg-divert(1) sends a file of `package`."""
        target, owner = self._diversions.get(path, (path, package))
        return path if owner == package else target

    def left_out(self, path: str) -> bool:
        """Whether dpkg is told not to unpack it (dpkg(1), `--path-exclude`): the last rule wins."""
        found = False
        for exclude, pattern in self._rules:
            if fnmatch.fnmatchcase(f"/{path}", pattern):
                found = exclude
        return found

    def _followed(self, path: str, left: int) -> str:
        if not left:
            raise BuildError(f"the base's links at /{path} go in circles")
        folder, _, name = path.rpartition("/")
        above = self._followed(folder, left) if folder else ""
        here = f"{above}/{name}" if above else name
        found = self.node(here)
        if found is None or found.kind != LINK:
            return here
        start = [] if found.target.startswith("/") or not above else above.split("/")
        clean = _walked(start, found.target)
        return self._followed(clean, left - 1) if clean else ""

    def _dpkg_rules(self) -> list[tuple[bool, str]]:
        folder = "etc/dpkg/dpkg.cfg.d/"
        names = sorted(path for path in self.tree.nodes if path.startswith(folder))
        rules = []
        for path in (*names, "etc/dpkg/dpkg.cfg"):
            for line in self.text(path).splitlines():
                option, _, pattern = line.strip().replace(" ", "=", 1).partition("=")
                if option in ("path-exclude", "path-include"):
                    rules.append((option == "path-exclude", pattern.strip()))
        return rules

    def _read_diversions(self) -> Mapping[str, tuple[str, str]]:
        lines = self.text("var/lib/dpkg/diversions").splitlines()
        triples = zip(lines[::3], lines[1::3], lines[2::3], strict=False)
        return {here.strip("/"): (there.strip("/"), owner) for here, there, owner in triples}


def rules_of(content: Content) -> list[tuple[bool, str]]:
    """The same as `--path-exclude` and `--path-include`: (whether excluded, pattern)."""
    rules = [(True, f"/{top}/*") for top in content.dropped]
    return [*rules, (False, f"/{content.kept}")]


def _walked(start: list[str], target: str) -> str:
    done = list(start)
    for part in target.split("/"):
        if part == "..":
            done = done[:-1]
        elif part not in ("", "."):
            done.append(part)
    return "/".join(done)
