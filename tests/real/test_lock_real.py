# SPDX-License-Identifier: Apache-2.0
"""Locks against the real package indexes and mirrors."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import uv

import imagekit
from imagekit.cli.main import main
from imagekit.lock import file
from imagekit.lock.ensure import ensure_lock
from imagekit.lock.refresh import refresh_lock
from imagekit.lock.tags import supported_tags
from imagekit.progress import Silent
from imagekit.spec.load import load_spec

pytestmark = pytest.mark.network


def _lock(path: Path, *, upgrade: bool = False) -> Any:
    spec = load_spec(path)
    (lock,) = refresh_lock(spec, path, upgrade=upgrade, runtime=None, progress=Silent())
    return lock


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_wheels_are_those_of_the_target(platform: Any, python: Any, tmp_path: Path) -> None:
    """Every locked wheel runs on the spec's platform and Python, whatever this machine is."""
    path = tmp_path / "spec.yaml"
    path.write_text(
        f"platform: {platform}\npython_version: {python}\npackages: [numpy, pandas, requests]\n"
    )
    lock = _lock(path)
    names = {wheel.name for wheel in lock.packages}
    assert {"numpy", "pandas", "requests", "urllib3", "python-dateutil"} <= names
    assert lock.target.python_version.startswith(f"{python}.")
    tags = set(map(str, supported_tags(lock.target)))
    for wheel in lock.packages:
        interpreter, abi, platforms = wheel.filename.removesuffix(".whl").rsplit("-", 3)[1:]
        assert any(
            f"{one}-{two}-{three}" in tags
            for one in interpreter.split(".")
            for two in abi.split(".")
            for three in platforms.split(".")
        )
        assert wheel.size_bytes is not None
    machine = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}[platform]
    assert any(machine in wheel.filename for wheel in lock.packages)


def test_debians_lists_are_read_once_for_all_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever each of them adds from Debian."""
    (tmp_path / "spec.yaml").write_text(
        "name: cells\nplatform: linux/amd64\nobject_storage: false\n"
        "matrix: {apt_packages: [tree, hello, patch]}\n"
    )
    assert main(["lock", str(tmp_path / "spec.yaml")]) == 0
    out, err = capsys.readouterr()
    locks = [(file.read(Path(line)) or ())[0] for line in out.split()]
    assert len({lock.digest for lock in locks}) == 3
    assert err.count("reading Debian bookworm's package lists") == 1


def test_an_unchanged_spec_runs_nothing(tmp_path: Path) -> None:
    """With a lock in place there is no mirror to ask and no uv to run."""
    path = tmp_path / "spec.yaml"
    path.write_text("packages: [requests]\n")
    made = _lock(path)
    code = (
        "import os, sys; from pathlib import Path\n"
        "from imagekit.lock.ensure import ensure_lock\n"
        "from imagekit.progress import Silent\n"
        "from imagekit.spec.load import load_spec\n"
        "def refuse(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'subprocess.Popen', 'os.exec',"
        " 'os.posix_spawn', 'os.fork'):\n"
        "        raise RuntimeError(event)\n"
        "sys.addaudithook(refuse)\n"
        "path = Path(sys.argv[1])\n"
        "(lock,) = ensure_lock(load_spec(path), path, locked=False, runtime=None,"
        " progress=Silent())\n"
        "print(lock.digest)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == made.digest
    (again,) = ensure_lock(load_spec(path), path, locked=True, runtime=None, progress=Silent())
    assert again == made


def test_the_same_spec_gives_the_same_file(tmp_path: Path) -> None:
    """Byte by byte, in another folder too."""
    texts = []
    for name in ("one", "two"):
        path = tmp_path / name / "spec.yaml"
        path.parent.mkdir()
        path.write_text("packages: [requests, six]\n")
        _lock(path)
        texts.append(file.lock_path(path).read_bytes())
    assert texts[0] == texts[1]


def test_a_refresh_keeps_versions_and_an_upgrade_does_not(tmp_path: Path) -> None:
    """`imagekit lock` changes what it must, `--upgrade` what it can."""
    path = tmp_path / "spec.yaml"
    path.write_text("packages: ['six==1.15.0']\nobject_storage: false\n")
    assert _lock(path).packages[0].version == "1.15.0"
    path.write_text("packages: [six]\nobject_storage: false\n")
    assert _lock(path).packages[0].version == "1.15.0"
    assert _lock(path, upgrade=True).packages[0].version != "1.15.0"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_uv_installs_what_the_lock_says(machine: str, tmp_path: Path) -> None:
    """Our file is a pylock.toml: uv reads it, for either platform, and agrees with its hashes."""
    path = tmp_path / "spec.yaml"
    path.write_text(
        "python_version: '3.11'\npackages: [charset-normalizer, requests]\n"
        "platform: [linux/arm64, linux/amd64]\n"
    )
    locks = refresh_lock(load_spec(path), path, upgrade=False, runtime=None, progress=Silent())
    lock = next(each for each in locks if each.target.machine == machine)
    target = tmp_path / "target"
    ran = subprocess.run(
        [
            uv.find_uv_bin(),
            "pip",
            "install",
            "--python-version=3.11",
            f"--python-platform={machine}-manylinux_2_36",
            f"--target={target}",
            f"--python={sys.executable}",
            "-r",
            str(file.lock_path(path)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
    )
    assert ran.returncode == 0, ran.stderr
    installed = {entry.name for entry in target.glob("*.dist-info")}
    assert installed == {
        f"{wheel.filename.split('-')[0]}-{wheel.version}.dist-info" for wheel in lock.packages
    }


def test_the_verbs_print_data_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lock's path, an image's reference; with --output json the same and more."""
    path = tmp_path / "spec.yaml"
    path.write_text("name: Team/Tiny\npackages: [six]\nobject_storage: false\n")
    assert main(["lock", str(path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'pylock.toml'}\n"
    assert main(["lock", str(path), "--output", "json"]) == 0
    (lock,) = json.loads(capsys.readouterr().out)
    assert list(lock["packages"]) == ["six"]
    assert main(["build", "--locked", str(path), "--to", f"oci:{tmp_path / 'image'}"]) == 0
    printed = capsys.readouterr().out
    assert re.fullmatch(r"team/tiny@sha256:[0-9a-f]{64}\n", printed)
    arguments = ["build", str(path), "--to", f"oci:{tmp_path / 'image'}", "--output", "json"]
    assert main(arguments) == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert f"{image['image']}\n" == printed
    assert image["digest"] in printed


def test_a_notebook_builds_without_a_spec_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock lies in the current folder, follows the value, and a plan of it is exact."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    spec = imagekit.ImageSpec(name="team/notebook", packages=["six"], compile_bytecode=False)
    built = imagekit.build(spec)
    assert imagekit.plan(spec, locked=True).digest == built.digest
    more = imagekit.build(spec.with_packages("idna"))
    locks = file.read(tmp_path / "pylock.notebook.toml")
    assert locks is not None
    assert {"idna", "six"} <= {wheel.name for wheel in locks[0].packages}
    assert more.digest != built.digest
