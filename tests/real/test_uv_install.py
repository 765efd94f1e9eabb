# SPDX-License-Identifier: Apache-2.0
"""The installed tree of well-known packages, file by file, against what uv makes of the same lock.

The exceptions are those that docs/reference/layers.md lists, and no others.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import uv

from imagekit.fetch import fetch
from imagekit.layers.venv import PREFIX, Venv
from imagekit.layers.wheel_file import WheelFile
from imagekit.layers.wheel_layer import write_wheels
from imagekit.layers.writer import LayerWriter
from imagekit.lock.model import LockedWheel, Target
from imagekit.lock.resolve import resolve_packages
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.progress import Silent
from imagekit.spec.model import ImageSpec

PACKAGES = (
    "aiohttp",
    "black",
    "cmake",
    "cryptography",
    "debugpy",
    "django",
    "fastapi",
    "flask",
    "grpcio",
    "ipython",
    "jupyterlab",
    "lxml",
    "matplotlib",
    "nbconvert",
    "pandas",
    "pillow",
    "pip",
    "protobuf",
    "pydantic",
    "pytest",
    "pywin32-ctypes",
    "requests",
    "rich",
    "ruff",
    "scikit-learn",
    "setuptools",
    "sqlalchemy",
    "uvicorn",
    "wheel",
)
VENV = Venv(sys.executable, platform.python_version())
SITE = f"lib/python{VENV.minor}/site-packages"
UV = uv.find_uv_bin()

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[LockedWheel, ...]:
    target = Target("linux/amd64", platform.python_version(), sys.executable, "2.31")
    spec, folder = ImageSpec(packages=PACKAGES), tmp_path_factory.mktemp("spec")
    sources = SourceBuilder(spec, folder, Silent(), os.environ)
    return resolve_packages(
        spec, folder, target, preferences=(), sources=sources, environ=os.environ
    )


@pytest.fixture(scope="module")
def by_uv(wheels: Sequence[LockedWheel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv that uv installed the locked versions into, with their hashes required."""
    folder = tmp_path_factory.mktemp("uv")
    lines = [f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}" for wheel in wheels]
    (folder / "requirements.txt").write_text("\n".join(lines))
    venv = folder / "venv"
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, venv], check=True)
    command = [UV, "pip", "install", "-q", "--no-deps", "--require-hashes", "--python", str(venv)]
    # A cache of its own: uv links files, so whoever edits a venv edits the user's cache.
    environ = {**os.environ, "UV_CACHE_DIR": str(folder / "cache")}
    subprocess.run([*command, "-r", str(folder / "requirements.txt")], check=True, env=environ)
    return venv


@pytest.fixture(scope="module")
def by_us(wheels: Sequence[LockedWheel]) -> dict[str, tuple[bytes, bool]]:
    """Path in the venv -> content and executable bit, as a layer of all wheels holds them."""
    files = []
    for wheel in wheels:
        urls = [] if wheel.url is None else [wheel.url]
        path = fetch(urls, sha256=wheel.sha256, size_bytes=wheel.size_bytes, name=wheel.filename)
        files.append(WheelFile(path, wheel.filename, wheel.sha256))
    sink = io.BytesIO()
    writer = LayerWriter(sink)
    write_wheels(writer, files, VENV, None)
    writer.finish()
    sink.seek(0)
    found = {}
    with tarfile.open(fileobj=sink, mode="r:gz") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                name = member.name.removeprefix(f"{PREFIX}/")
                found[name] = stream.read(), bool(member.mode & 0o111)
    return found


def uv_files(venv: Path) -> dict[str, Path]:
    """What uv installed; the files of the venv itself are not ours to compare."""
    own = {"pyvenv.cfg", "CACHEDIR.TAG", ".gitignore", ".lock"}
    found = {}
    for path in venv.rglob("*"):
        name = path.relative_to(venv).as_posix()
        environment = name in own or path.is_symlink() or name.startswith(("bin/activ", "bin/deac"))
        if path.is_file() and not environment and name != "bin/pydoc.bat":
            found[name] = path
    return found


def is_exception(name: str) -> bool:
    return name.startswith(SITE) and name.endswith(("/INSTALLER", "/REQUESTED", "/RECORD"))


def test_the_same_files_are_installed(by_uv: Path, by_us: dict[str, tuple[bytes, bool]]) -> None:
    """No file is missing and none is added, but for the markers of the installer."""
    theirs = {name for name in uv_files(by_uv) if not is_exception(name)}
    ours = {name for name in by_us if not is_exception(name)}

    assert len(theirs) > 10_000
    assert theirs == ours


def test_every_file_has_the_same_bytes_and_mode(
    by_uv: Path, by_us: dict[str, tuple[bytes, bool]]
) -> None:
    """Content and the executable bit agree; launchers and scripts are held to what they start."""
    unlike = []
    for name, path in uv_files(by_uv).items():
        if is_exception(name):
            continue
        data, executable = by_us[name]
        if executable != bool(path.stat().st_mode & 0o111):
            unlike.append(f"{name}: mode")
        theirs = path.read_bytes()
        if name.startswith("bin/") and theirs.startswith(b"#!"):
            theirs, data = started(theirs), started(data)
        if hashlib.sha256(theirs).digest() != hashlib.sha256(data).digest():
            unlike.append(f"{name}: content")

    assert [] == unlike


def started(script: bytes) -> bytes:
    """What a launcher imports and calls; all of a script but its first line."""
    lines = script.decode().splitlines()[1:]
    if not any("sys.exit(" in line for line in lines):
        return "\n".join(lines).encode()
    wanted = [line for line in lines if line.startswith("from ") or "sys.exit(" in line]
    return "\n".join(wanted).encode()


def test_records_agree(by_uv: Path, by_us: dict[str, tuple[bytes, bool]]) -> None:
    """Every RECORD has the same lines, but for what the exceptions above change."""
    for name in by_us:
        if not name.endswith(".dist-info/RECORD"):
            continue
        ours = set(by_us[name][0].decode().splitlines())
        theirs = set((by_uv / name).read_text().splitlines())
        differing = {
            line
            for line in ours ^ theirs
            if not line.startswith("../../../bin/")
            and "/INSTALLER," not in line
            and "/REQUESTED," not in line
        }
        assert differing == set(), name
