# SPDX-License-Identifier: Apache-2.0
"""Locks as uv and Poetry write them today: an image gets what they themselves would install."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomli
import uv
from packaging.requirements import Requirement

from imagekit.errors import LockError
from imagekit.lock.model import Target
from imagekit.lock.resolve import resolve_packages
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.progress import Silent
from imagekit.spec.model import ImageSpec

pytestmark = pytest.mark.network

PROJECT = """
[project]
name = "example"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["requests>=2", "rich", "colorama; sys_platform == 'win32'"]

[project.optional-dependencies]
plot = ["pillow"]

[dependency-groups]
dev = ["pytest"]

[tool.poetry]
package-mode = false
"""
TARGET = Target("linux/amd64", "3.11.2", "/usr/bin/python3", "2.36")
LINUX = {"python_version": "3.11", "python_full_version": "3.11.2", "sys_platform": "linux"}


def run(command: list[str], folder: Path, **environ: str) -> str:
    found = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One project, locked by uv, exported as pylock.toml, and locked by Poetry."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text(PROJECT)
    program = uv.find_uv_bin()
    run([program, "lock", "--python", sys.executable], folder)
    export = [program, "export", "--frozen", "--no-emit-project", "--no-default-groups"]
    run([*export, "--extra=plot", "--format=pylock.toml", "--output-file=pylock.toml"], folder)
    # The index that uv asked: Poetry is told it, as it knows nothing of how this machine finds one.
    locked = tomli.loads((folder / "uv.lock").read_text())["package"]
    index = next(each["source"]["registry"] for each in locked if "registry" in each["source"])
    lock_by_poetry(folder, index)
    return folder


def lock_by_poetry(folder: Path, index: str) -> None:
    """Have Poetry, which is put into `.poetry`, lock the project in `folder`."""
    program = uv.find_uv_bin()
    venv = folder / ".poetry"
    run([program, "venv", "--python", sys.executable, str(venv)], folder)
    run([program, "pip", "install", "--python", str(venv), "poetry"], folder)
    source = f'\n[[tool.poetry.source]]\nname = "index"\nurl = "{index}/"\n'
    with (folder / "pyproject.toml").open("a") as stream:
        stream.write(source)
    run([str(venv / "bin" / "poetry"), "lock"], folder)


def by_uv(folder: Path, *options: str) -> set[str]:
    """What uv itself would install."""
    command = [uv.find_uv_bin(), "export", "--frozen", "--no-emit-project", "--no-default-groups"]
    text = run([*command, "--no-hashes", "--no-annotate", "--no-header", *options], folder)
    wanted = [Requirement(line) for line in text.splitlines()]
    fitting = [each for each in wanted if each.marker is None or each.marker.evaluate(LINUX)]
    return {f"{each.name}{each.specifier}" for each in fitting}


def by_poetry(folder: Path, *options: str) -> set[str]:
    """What Poetry itself would install into an environment with nothing in it."""
    program = folder / ".poetry" / "bin" / "poetry"
    empty = folder / ".empty"
    run([uv.find_uv_bin(), "venv", "--clear", "--python", sys.executable, str(empty)], folder)
    text = run(
        [str(program), "install", "--dry-run", "--no-root", *options],
        folder,
        VIRTUAL_ENV=str(empty),
    )
    found = re.findall(r"Installing ([\w.-]+) \((\S+)\)(: Skipped)?", text)
    return {f"{name}=={version}" for name, version, skipped in found if not skipped}


def locked(folder: Path, name: str, **members: list[str]) -> set[str]:
    spec = ImageSpec(requirements=name, object_storage=False, **members)  # type: ignore[arg-type]
    wheels = resolve_packages(
        spec,
        folder,
        TARGET,
        preferences=(),
        sources=SourceBuilder(spec, folder, Silent(), os.environ),
        environ=os.environ,
    )
    return {f"{wheel.name}=={wheel.version}" for wheel in wheels}


def test_a_uv_lock_gives_what_uv_installs(project: Path) -> None:
    """With extras and groups as they are asked for."""
    assert locked(project, "uv.lock") == by_uv(project)
    chosen = locked(project, "uv.lock", extras=["plot"], groups=["dev"])
    assert chosen == by_uv(project, "--extra=plot", "--group=dev")
    assert {each.partition("==")[0] for each in chosen} >= {"pillow", "pytest", "rich"}


def test_a_pylock_gives_what_uv_installs(project: Path) -> None:
    """The extra was chosen when it was exported."""
    assert locked(project, "pylock.toml") == by_uv(project, "--extra=plot")


def test_a_poetry_lock_gives_what_poetry_installs(project: Path) -> None:
    """With extras and groups as they are asked for."""
    assert locked(project, "poetry.lock") == by_poetry(project, "--only=main")
    chosen = locked(project, "poetry.lock", extras=["plot"], groups=["dev"])
    assert chosen == by_poetry(project, "--extras=plot", "--with=dev")
    assert {each.partition("==")[0] for each in chosen} >= {"pillow", "pytest", "rich"}


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "pylock.toml"])
def test_a_wheel_with_another_hash_is_not_taken(project: Path, name: str, tmp_path: Path) -> None:
    """The lock's own hashes decide, not what an index says today."""
    text = (project / name).read_text()
    wheel = next(line for line in text.splitlines() if "rich-" in line and ".whl" in line)
    digest = re.search(r"[0-9a-f]{64}", wheel)
    assert digest is not None
    (tmp_path / name).write_text(text.replace(digest[0], "0" * 64))
    with pytest.raises(LockError, match=r"rich [\d.]+: no wheel has a hash"):
        locked(tmp_path, name)
