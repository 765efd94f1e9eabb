# SPDX-License-Identifier: Apache-2.0
"""The program as a process of its own, as it is installed: only there receipts are used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import imagekit

_ROOT = str(Path(imagekit.__file__).parents[1])
_PROGRAM = f"""\
import sys; bare = set(sys.modules); sys.path.insert(0, {_ROOT!r})
from imagekit.cli.entry import main
code = main()
sys.stderr.write("\\n" + " ".join(sorted(set(sys.modules) - bare)))
sys.exit(code)
"""


@dataclass(frozen=True)
class Ran:
    """`modules` are all that the program loaded."""

    code: int
    stdout: str
    stderr: str
    modules: tuple[str, ...]

    @property
    def from_receipt(self) -> bool:
        return "unchanged: " in self.stderr


def run(*words: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> Ran:
    command = [sys.executable, "-I", "-c", _PROGRAM, *words]
    done = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    stderr, _, modules = done.stderr.rpartition("\n")
    return Ran(done.returncode, done.stdout, stderr, tuple(modules.split()))
