# SPDX-License-Identifier: Apache-2.0
"""Steps for another processor install wheels with a uv for it, from the usual index."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imagekit.builders.uv_program import uv_for
from imagekit.layers.host import host_can_run
from imagekit.progress import Silent

pytestmark = pytest.mark.network

MACHINES = {"linux/amd64": 62, "linux/arm64": 183}  # e_machine of ELF


@pytest.mark.parametrize("platform", MACHINES)
def test_it_is_a_program_of_that_processor(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Downloaded once where it is another's than this machine's, and then found in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = uv_for(platform, Silent())
    head = found.read_bytes()[:20]
    assert head[:4] == b"\x7fELF"
    assert int.from_bytes(head[18:20], "little") == MACHINES[platform]
    assert os.access(found, os.X_OK)
    if host_can_run(platform.partition("/")[2]):
        return
    assert [path.name for path in found.parent.iterdir()] == [found.name]
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert uv_for(platform, Silent()) == found
