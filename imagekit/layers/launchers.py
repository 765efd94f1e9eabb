# SPDX-License-Identifier: Apache-2.0
"""What lands in `bin`: launchers of entry points, and scripts with their first line set right."""

from __future__ import annotations

import configparser
import re
from keyword import iskeyword

from imagekit.errors import IntegrityError

# Entry points specification: `module:attribute`, extras behind it are ignored by installers.
_TARGET = re.compile(r"([\w.]+)\s*:\s*([\w.]+)\s*(\[.*\])?")
_NAME = re.compile(r"[\w.+-]+( [\w.+-]+)*")
_GROUPS = ("console_scripts", "gui_scripts")


def launchers(entry_points: bytes, python: str, source: str) -> dict[str, bytes]:
    """Text of each launcher by name, from the content of `entry_points.txt`.

    Raises IntegrityError where a name is not one plain file name or a target is not Python.
    """
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[method-assign, assignment]  # names are case-sensitive
    try:
        parser.read_string(entry_points.decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error) as error:
        raise IntegrityError(f"{source}: entry_points.txt does not read: {error}") from error
    found = {}
    for group in _GROUPS:
        for name, value in parser.items(group) if parser.has_section(group) else ():
            target = _TARGET.fullmatch(value.strip())
            if not _NAME.fullmatch(name) or target is None or name in (".", ".."):
                raise IntegrityError(f"{source}: entry point {name[:80]!r} = {value[:80]!r}")
            if not _is_python(f"{target[1]}.{target[2]}"):
                raise IntegrityError(f"{source}: not a Python name: {value[:80]!r}")
            found[name] = _launcher(target[1], target[2], python)
    return found


def with_python(script: bytes, python: str) -> bytes:
    """A script of a wheel's `scripts` folder; `#!python` stands for the venv's interpreter."""
    first, newline, rest = script.partition(b"\n")
    if first.rstrip(b"\r").startswith(b"#!python"):
        arguments = first.rstrip(b"\r").removeprefix(b"#!pythonw").removeprefix(b"#!python")
        return b"#!" + python.encode() + arguments + newline + rest
    return script


def _is_python(name: str) -> bool:
    return all(part.isidentifier() and not iskeyword(part) for part in name.split("."))


def _launcher(module: str, attribute: str, python: str) -> bytes:
    lines = [
        f"#!{python}",
        "import sys",
        "",
        f"from {module} import {attribute.partition('.')[0]}",
        "",
        'if __name__ == "__main__":',
        f"    sys.exit({attribute}())",
    ]
    return "".join(line + "\n" for line in lines).encode()
