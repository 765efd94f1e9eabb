# SPDX-License-Identifier: Apache-2.0
"""Small projects with a build backend of their own, which needs no index and no time."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "{version}"
"""
# Its wheel says what it saw of the machine, and leaves a mark where it was run.
BACKEND = """
import os, pathlib, zipfile

FILE = "{filename}"

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name, version = FILE.split("-")[:2]
    info = f"{{name}}-{{version}}.dist-info"
    mask = os.umask(0)
    os.umask(mask)
    seen = [os.environ.get(key, "") for key in ("SOURCE_DATE_EPOCH", "TZ", "SECRET")]
    about = f"Metadata-Version: 2.1\\nName: {{name}}\\nVersion: {{version}}\\n{requires}"
    files = {{
        f"{{name}}.py": f"SEEN = {{[*seen, oct(mask)]!r}}\\n" + {extra},
        f"{{info}}/METADATA": about,
        f"{{info}}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    record = f"{{info}}/RECORD"
    files[record] = "".join(f"{{path}},,\\n" for path in [*files, record])
    with zipfile.ZipFile(pathlib.Path(wheel_directory, FILE), "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return FILE
"""


def make_project(
    folder: Path,
    name: str = "thing",
    version: str = "1.0",
    *,
    filename: str = "",
    extra: str = '""',
    requires: str = "",
) -> Path:
    """A project in `folder`; `extra` is an expression whose text its module gets.

    `requires` are further lines of its metadata, `filename` that of the wheel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheel = filename or f"{name}-{version}-py3-none-any.whl"
    (folder / "pyproject.toml").write_text(PROJECT.format(name=name, version=version))
    text = BACKEND.format(filename=wheel, extra=extra, requires=requires)
    (folder / "backend.py").write_text(text)
    return folder


def make_sdist(folder: Path, project: Path, name: str, version: str) -> Path:
    path = folder / f"{name}-{version}.tar.gz"
    info = project / "PKG-INFO"
    info.write_text(f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n")
    with tarfile.open(path, "w:gz") as tar:
        tar.add(project, f"{name}-{version}")
    return path


def commit(repository: Path, tag: str = "") -> str:
    """Commit all that stands in the folder, which becomes a repository; returns the commit."""
    run_git("init", "-q", "-b", "main", cwd=repository)
    run_git("add", "-A", cwd=repository)
    run_git("commit", "-q", "--allow-empty", "-m", "x", cwd=repository)
    if tag:
        run_git("tag", tag, cwd=repository)
    return run_git("rev-parse", "HEAD", cwd=repository)


def run_git(*words: str, cwd: Path) -> str:
    author = ["-c", "user.name=x", "-c", "user.email=x@example.invalid"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *author, *words], cwd=cwd, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
