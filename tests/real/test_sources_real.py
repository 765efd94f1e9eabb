# SPDX-License-Identifier: Apache-2.0
"""Sdists that the package index has no wheel of, built by the backends that they ask for."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import uv

from imagekit.lock import file
from imagekit.lock.model import MACHINES, Lock, LockedWheel, Target
from imagekit.lock.resolve import resolve_packages
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.lock.sources.host import glibc
from imagekit.progress import Silent
from imagekit.spec.model import ImageSpec

pytestmark = pytest.mark.network

HERE = next(name for name, machine in MACHINES.items() if machine == platform.machine())
TARGET = Target(HERE, platform.python_version(), sys.executable, glibc())
PURE = "docopt==0.6.2"
NATIVE = "python-Levenshtein==0.12.2"


def test_sdists_give_the_same_wheels_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of Python alone and one in C; and uv installs from the lock what we would."""
    packages = [PURE] if shutil.which("cc") is None else [PURE, NATIVE]
    spec = ImageSpec(packages=packages, object_storage=False, allow_build=True, platform=HERE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "one"))
    builder = SourceBuilder(spec, tmp_path, Silent(), os.environ)
    wheels = resolve_packages(
        spec, tmp_path, TARGET, preferences=(), sources=builder, environ=os.environ
    )
    built = [wheel for wheel in wheels if wheel.built is not None]
    assert [wheel.name for wheel in built] == sorted(
        each.partition("==")[0].lower() for each in packages
    )
    assert all(
        "--hash=sha256:" in pin for wheel in built if wheel.built for pin in wheel.built.requires
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "two"))
    again = SourceBuilder(spec, tmp_path, Silent(), os.environ)
    for wheel in built:
        assert again.rebuild(wheel, TARGET).is_relative_to(tmp_path / "two")
    _installed_by_uv(tmp_path, wheels)


def _installed_by_uv(folder: Path, wheels: tuple[LockedWheel, ...]) -> None:
    path = folder / "pylock.toml"
    path.write_text(file.dumps([Lock("x", TARGET, {"kind": "oci"}, wheels, None, "0")]))
    command = [
        uv.find_uv_bin(),
        "pip",
        "install",
        "--quiet",
        "--preview",
        f"--target={folder}/site",
    ]
    subprocess.run([*command, f"--python={sys.executable}", "-r", path], check=True)
    names = {each.name for each in (folder / "site").iterdir()}
    assert {f"{w.name.replace('-', '_')}-{w.version}.dist-info" for w in wheels} <= {
        name.replace("python_Levenshtein", "python_levenshtein") for name in names
    }
