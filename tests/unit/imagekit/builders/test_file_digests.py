# SPDX-License-Identifier: Apache-2.0
"""Digests of files are remembered as long as the files stay as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import uv

from imagekit.builders.file_digests import remembered_sha256
from imagekit.files import sha256_of


@pytest.fixture
def memos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/imagekit/digests"


def test_a_file_that_stays_is_read_once(memos: Path) -> None:
    """What was kept of it is what is said of it."""
    path = Path(uv.find_uv_bin())
    assert remembered_sha256(path) == sha256_of(path)
    (memo,) = memos.iterdir()
    memo.write_text("0" * 64)
    assert remembered_sha256(path) == "0" * 64
    memo.write_text("half")
    assert remembered_sha256(path) == sha256_of(path)


def test_a_copy_with_the_same_times_is_another_file(memos: Path, tmp_path: Path) -> None:
    """One that was just written is read each time, as a change may bear the same time."""
    path = tmp_path / "file"
    for text in ("one", "two"):
        (tmp_path / "source").write_text(text)
        shutil.copy2(tmp_path / "source", path)
        assert remembered_sha256(path) == sha256_of(path)
    assert not memos.exists()
