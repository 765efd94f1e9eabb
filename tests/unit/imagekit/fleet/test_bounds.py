# SPDX-License-Identifier: Apache-2.0
"""What a build of many images takes: as much as one of a few."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagekit.lock.model import LockedWheel
from tests.fakes.wheels import make_wheel
from tests.unit.imagekit.fleet.fleet_project import Fleet

WHEEL_BYTES = 4 << 20
PROGRAM = """\
import re, sys
from imagekit.cli.main import main
status = main(["build", *sys.argv[1:], "--locked", "--jobs", "2"])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
sys.exit(status)
"""


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(tmp_path, monkeypatch)


def _wheel(fleet: Fleet, name: str) -> LockedWheel:
    """One that nothing makes smaller."""
    folder = fleet.root / "index"
    folder.mkdir(exist_ok=True)
    files = {f"{name}/__init__.py": b"", f"{name}/data.bin": os.urandom(WHEEL_BYTES)}
    made = make_wheel(folder, files, name=name, version="1.0")
    return LockedWheel(
        name, "1.0", made.filename, made.sha256, made.path.stat().st_size, made.path.as_uri()
    )


def _peak_bytes(fleet: Fleet, count: int) -> int:
    """Of a build of so many images, each with a large wheel of its own."""
    group = [f"of-{count}-{number}" for number in range(count)]
    for number, name in enumerate(group):
        wheel = _wheel(fleet, f"of_{count}_{number}")
        fleet.write(name, f"name: team/{name}\n", wheel)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *group], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    *images, peak = done.stdout.splitlines()
    assert count == len(images)
    return int(peak) << 10


def test_memory_and_what_is_left_do_not_grow_with_the_number_of_images(fleet: Fleet) -> None:
    """Twelve more images with 4 MiB each take less than four of them in memory.

    When all are built, nothing of the work is left on the disk.
    """
    few = _peak_bytes(fleet, 4)
    many = _peak_bytes(fleet, 16)

    assert many - few < 4 * WHEEL_BYTES
    cache = fleet.project.cache / "imagekit"
    left = [*cache.rglob(".*.tmp"), *cache.rglob(".work-*"), *(cache / "layers/building").glob("*")]
    assert [] == left
