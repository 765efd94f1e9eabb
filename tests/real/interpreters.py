# SPDX-License-Identifier: Apache-2.0
"""Pythons that other users of this machine can start, with the project's pinned dependencies."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import uv

from tests.real.builds import REPOSITORY, Host


def copied_code(code: Path) -> Path:
    """The packages, in a folder that every user can read."""
    for package in ("imagekit", "entrypoint"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, code / package, ignore=ignored)
    return code


def interpreter(folder: Path, prefix: tuple[str, ...], minor: str | None) -> str:
    """A Python that has the project's pinned dependencies, and runs behind `prefix`."""
    if not prefix and minor is None:
        return Host(folder).python
    program = found_python(prefix, minor)
    venv = folder / f"venv-{program.strip('/').replace('/', '-')}"
    python = venv / "bin" / "python"
    if not venv.exists():
        _uv("venv", "--python", program, venv)
        pins = REPOSITORY / "requirements" / "run.txt"
        _uv("pip", "install", "--python", python, "--require-hashes", "-r", pins)
    return str(python)


def found_python(prefix: tuple[str, ...], minor: str | None) -> str:
    """The first installed interpreter of that minor that `prefix` can start."""
    if prefix and (os.geteuid() != 0 or shutil.which(prefix[0]) is None):
        pytest.skip("building as another user needs root and setpriv")
    names = ["python3"] if minor is None else [f"python{minor}"]
    candidates = [Path("/usr/bin", name) for name in names]
    candidates += [Path("/usr/local/bin", name) for name in names]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += sorted(pyenv.glob(f"{minor}.*/bin/python{minor}"))
    candidates += [Path(path) for name in names if (path := shutil.which(name))]
    question = "import sys; sys.exit(sys.version_info < (3, 10))"
    for candidate in candidates:
        asked = [*prefix, str(candidate), "-c", question]
        if candidate.exists() and subprocess.run(asked, check=False).returncode == 0:
            return str(candidate)
    pytest.skip(f"no Python {minor or ''} here that {prefix or 'we'} can start")


def _uv(*arguments: str | Path) -> None:
    subprocess.run([uv.find_uv_bin(), "-q", *map(str, arguments)], check=True)
