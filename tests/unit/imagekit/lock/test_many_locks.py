# SPDX-License-Identifier: Apache-2.0
"""Many specs locked in one command: what they ask alike is asked once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import uv

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


def test_twelve_cells_are_resolved_by_python_and_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three bases of one Python, and two sets: uv runs twice, not six times, and all have locks."""
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
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "name: cells\npython_version: '3.11'\nplatform: linux/amd64\n"
        "object_storage: false\nmatrix:\n"
        "  base_image: ['oci:plain', 'oci:labelled', 'oci:other']\n  packages: [alpha, beta]\n"
    )
    command = [sys.executable, "-c", PROGRAM, str(spec)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    *paths, ran = done.stdout.splitlines()
    locks = [(file.read(Path(path)) or ())[0] for path in paths]
    assert len({lock.base["digest"] for lock in locks}) == 3
    assert sorted(wheel.name for lock in locks for wheel in lock.packages) == (
        ["alpha"] * 3 + ["beta"] * 3
    )
    assert ran.split()[1:] == [uv.find_uv_bin()] * 2
