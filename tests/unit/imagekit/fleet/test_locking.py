# SPDX-License-Identifier: Apache-2.0
"""Several specs locked at the same time, alone and before they are built."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.builders.model import Built
from imagekit.errors import BuildError, LockError
from imagekit.fleet.batch import build_all
from imagekit.fleet.find import find_specs
from imagekit.fleet.locking import lock_all
from imagekit.lock import file
from imagekit.lock.model import Lock, LockedWheel
from tests.unit.imagekit.fleet.fleet_project import Fleet


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(tmp_path, monkeypatch)


def test_some_are_locked_at_once_and_told_in_their_order(fleet: Fleet) -> None:
    """Four wait for each other, and no fifth is there."""
    for name in "abcdefgh":
        fleet.write(name, f"name: {name}\n")
    four = threading.Barrier(4)
    guard = threading.Lock()
    running, most = set(), 0

    def lock_one(address: Path) -> tuple[Lock, ...]:
        nonlocal most
        with guard:
            running.add(address)
            most = max(most, len(running))
        four.wait(30)
        with guard:
            running.remove(address)
        return file.read(file.lock_path(address)) or ()

    found = list(lock_all(find_specs(["."]), lock_one))

    assert 4 == most
    assert list("abcdefgh") == [each.address.parent.name for each in found]
    assert all(each.locks for each in found)


def test_one_that_stands_on_another_is_locked_after_it(fleet: Fleet) -> None:
    """It needs that one's lock, and is not to make it at the same time."""
    fleet.write("z", "name: z\n")
    (fleet.root / "a").mkdir()
    (fleet.root / "a" / "spec.yaml").write_text("name: a\nbase_image: ../z/spec.yaml\n")
    done: list[str] = []

    def lock_one(address: Path) -> tuple[Lock, ...]:
        done.append(address.parent.name)
        return ()

    list(lock_all(find_specs(["."]), lock_one))

    assert ["z", "a"] == done


def _locking(fleet: Fleet, wheels: dict[str, LockedWheel]) -> Callable[[Path], tuple[Lock, ...]]:
    """Writes locks with the wheel of a spec's folder; a spec without one fails."""

    def lock_one(address: Path) -> tuple[Lock, ...]:
        wheel = wheels.get(address.parent.name)
        if wheel is None:
            raise LockError("told")
        fleet.lock(address, [wheel])
        return file.read(file.lock_path(address)) or ()

    return lock_one


def test_specs_without_locks_are_locked_first_and_then_built_by_their_size(fleet: Fleet) -> None:
    """One whose lock can't be made is not built, and says why."""
    small = fleet.project.wheel("alpha")
    large = fleet.project.wheel("beta", module="b" * 60)
    fleet.write("a-locked", "name: a\n", fleet.project.wheel("gamma", module="c" * 30))
    for name in ("b-small", "c-large", "d-wrong"):
        (fleet.write(name, f"name: {name}\n").parent / "pylock.toml").unlink()
    begun: list[str] = []

    def build_one(address: Path) -> Built:
        begun.append(address.parent.name)
        raise BuildError("built")

    lock_one = _locking(fleet, {"b-small": small, "c-large": large})
    outcomes = list(build_all(find_specs(["."]), build_one, 1, lock_one))

    assert ["c-large", "a-locked", "b-small"] == begun
    assert ["built"] * 3 + ["told"] == [each.error.message for each in outcomes if each.error]
