# SPDX-License-Identifier: Apache-2.0
"""Many specs locked in one command: what they ask alike is asked once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import uv
from click.testing import CliRunner

from imagekit.cli.main import program
from imagekit.errors import LockError
from imagekit.lock import file
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.layout import write_layout
from tests.fakes.images import file_layer
from tests.fakes.wheels import make_wheel

BASE = {
    "usr/bin/python3.11": b"\x7fELF\x003.11.9\x00",
    "usr/lib/x86_64-linux-gnu/libc.so.6": b"\x7fELF stable release version 2.36.",
}
HEADER = "python_version: '3.11'\nplatform: linux/amd64\nobject_storage: false\n"
PROGRAM = """\
import sys
from imagekit.cli.main import main
run = []
def count(event, arguments):
    if event == "subprocess.Popen":
        run.append(arguments[0])
sys.addaudithook(count)
status = main(["lock", sys.argv[1]])
print("ran", *run)
sys.exit(status)
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three bases of one Python, and an index of two wheels."""
    for kind in ("cache", "data"):
        monkeypatch.setenv(f"XDG_{kind.upper()}_HOME", str(tmp_path / kind))
    layers = file_layer(tmp_path, BASE)
    for name in ("plain", "labelled", "other"):
        base = assemble(
            None,
            [Addition(layers, "base")],
            Settings(labels={"base": name}),
            platform=Platform.parse("linux/amd64"),
        )
        write_layout(base, tmp_path / name)
    index = tmp_path / "index"
    index.mkdir()
    for name in ("alpha", "beta"):
        make_wheel(index, {f"{name}.py": b""}, name=name, version="1.0")
    (tmp_path / "uv.toml").write_text(f'no-index = true\nfind-links = ["{index}"]\n')
    return tmp_path


def test_twelve_cells_are_resolved_by_python_and_packages(repository: Path) -> None:
    """Three bases of one Python, and two sets: uv runs twice, not six times, and all have locks."""
    spec = repository / "spec.yaml"
    spec.write_text(
        f"name: cells\n{HEADER}matrix:\n"
        "  base_image: ['oci:plain', 'oci:labelled', 'oci:other']\n  packages: [alpha, beta]\n"
    )
    command = [sys.executable, "-c", PROGRAM, str(spec)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "locked 6 specs" == done.stderr.splitlines()[-1]
    *paths, ran = done.stdout.splitlines()
    locks = [(file.read(Path(path)) or ())[0] for path in paths]
    assert len({lock.base["digest"] for lock in locks}) == 3
    assert sorted(wheel.name for lock in locks for wheel in lock.packages) == (
        ["alpha"] * 3 + ["beta"] * 3
    )
    assert ran.split()[1:] == [uv.find_uv_bin()] * 2


def test_one_that_fails_does_not_stop_the_others(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told at the end, with its spec; the exit code is its own."""
    monkeypatch.chdir(repository)
    for name, package in (("a", "gamma"), ("b", "alpha"), ("c", "beta")):
        text = f"name: {name}\n{HEADER}base_image: oci:plain\npackages: [{package}]\n"
        (repository / f"{name}.yaml").write_text(text)

    words = ["lock", "a.yaml", "b.yaml", "c.yaml"]
    result = CliRunner().invoke(program, words, standalone_mode=False)

    assert LockError.exit_code == result.return_value
    assert ["pylock.b.toml", "pylock.c.toml"] == result.stdout.splitlines()
    assert any(line.startswith("error: a.yaml: ") for line in result.stderr.splitlines())
    assert "locked 2 specs, 1 failed" == result.stderr.splitlines()[-1]
    data = json.loads(CliRunner().invoke(program, [*words, "--output", "json"]).stdout)
    assert ["b.yaml", "c.yaml", "a.yaml"] == [entry["spec"] for entry in data]
    assert "gamma" in data[2]["error"]
