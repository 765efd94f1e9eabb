# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Debian base share."""

from pathlib import Path

import pytest

from tests.unit.imagekit.debian.deb_maker import Debs


@pytest.fixture
def debs(tmp_path: Path) -> Debs:
    folder = tmp_path / "debs"
    folder.mkdir()
    return Debs(folder)
