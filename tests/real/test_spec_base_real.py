# SPDX-License-Identifier: Apache-2.0
"""Specs on specs, against the real index: the child is resolved around what its base has."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.errors import LockError
from imagekit.lock import file
from imagekit.lock.refresh import refresh_lock
from imagekit.progress import Silent
from imagekit.spec.load import load_spec

pytestmark = pytest.mark.network

BASE = "name: base\npackages: [six==1.15.0]\nobject_storage: false\n"
CHILD = "name: child\nbase_image: base.yaml\npackages: [{packages}]\n"


def test_a_child_keeps_what_its_base_has(tmp_path: Path) -> None:
    """The base is locked first, where it is not; what excludes its versions is an error."""
    (tmp_path / "base.yaml").write_text(BASE)
    path = tmp_path / "child.yaml"
    path.write_text(CHILD.format(packages="python-dateutil"))
    (lock,) = refresh_lock(load_spec(path), path, upgrade=True, runtime=None, progress=Silent())
    (below,) = file.read(file.lock_path(tmp_path / "base.yaml")) or ()
    assert {"python-dateutil", "six"} <= {wheel.name for wheel in lock.packages}
    assert below.packages == tuple(wheel for wheel in lock.packages if wheel.name == "six")
    assert lock.base == below.base
    path.write_text(CHILD.format(packages="'six>=1.16'"))
    with pytest.raises(LockError, match=r"six==1\.15\.0"):
        refresh_lock(load_spec(path), path, upgrade=False, runtime=None, progress=Silent())
