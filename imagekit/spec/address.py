# SPDX-License-Identifier: Apache-2.0
"""How one image of a file that says several is named: `FILE:NAME`, as in `spec.yaml:3.11-debian`.

In a Python file NAME is a variable: `spec.py:image`.

An address is a path, and stands wherever the path of a spec does.
"""

from __future__ import annotations

from pathlib import Path


def split(address: Path) -> tuple[Path, str]:
    """The file, and the name in it; the name is empty where the whole file is meant."""
    name, colon, inner = address.name.partition(":")
    if not colon or address.is_file():
        return address, ""
    return address.with_name(name), inner


def join(path: Path, name: str) -> Path:
    """The address of the image called `name` in the file; without a name the file's own."""
    return path.with_name(f"{path.name}:{name}") if name else path
