# SPDX-License-Identifier: Apache-2.0
"""The project's own files, as the house tests look at them."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("entrypoint", "imagekit", "sidecars")
STANDARD_LIBRARY = sys.stdlib_module_names | {"compression", "tomllib"}
"""Of every Python that is supported: the last two came after 3.10."""


@functools.cache
def project_files() -> tuple[Path, ...]:
    """What is tracked, or would be: files that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    paths = {ROOT / name for name in listed.decode().split("\0") if name}
    return tuple(sorted(path for path in paths if path.is_file()))


def files(suffix: str, *folders: str) -> tuple[Path, ...]:
    """The project's files with that suffix, in these folders or everywhere."""
    roots = [ROOT / folder for folder in folders] or [ROOT]
    return tuple(
        path
        for path in project_files()
        if path.suffix == suffix and any(path.is_relative_to(root) for root in roots)
    )


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    """As it is imported: `imagekit.oci` for imagekit/oci/__init__.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every import in a file, wherever it stands: how many dots, and the module's name."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""
