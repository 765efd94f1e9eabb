# SPDX-License-Identifier: Apache-2.0
"""A program that stands in for envd where the real one can't be made to fail in a given way."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_TEXT = """#!{python}
import os, sys, time
said = sys.argv[1]
if said == "version":
{version}
elif said == "build":
{build}
"""


def fake_envd(folder: Path, build: str = "pass", version: str = "print('envd: v1.3.6')") -> str:
    """Write the program; `build` and `version` are the statements that it runs when asked to."""
    path = folder / "envd"
    bodies = {
        name: "\n".join(f"    {line}" for line in text.splitlines())
        for name, text in {"build": build, "version": version}.items()
    }
    path.write_text(_TEXT.format(python=sys.executable, **bodies), "utf-8")
    os.chmod(path, 0o755)
    return str(path)
