# SPDX-License-Identifier: Apache-2.0
"""Where blobs were pushed to is remembered, as a hint and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.registry.places import Places

DIGEST = "sha256:" + "a" * 64


def test_the_next_process_knows_where_a_blob_was_pushed_to(tmp_path: Path) -> None:
    """Another repository's is where it can be mounted from; its own is asked."""
    Places(tmp_path / "host").add(DIGEST, "team/one")
    later = Places(tmp_path / "host")
    assert "team/one" == later.near(DIGEST, "team/two")
    assert "" == later.near(DIGEST, "team/one")
    assert not later.has(DIGEST, "team/one")
    assert "" == Places(tmp_path / "other").near(DIGEST, "team/two")


@pytest.mark.parametrize("content", [b"", b"../up", b"Team", b"a b", b"\xff"])
def test_a_hint_that_is_no_repository_is_none(tmp_path: Path, content: bytes) -> None:
    """It would become part of a URL."""
    (tmp_path / ("a" * 64)).write_bytes(content)
    assert "" == Places(tmp_path).near(DIGEST, "team/two")


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    """And where one can't be written, pushes go on."""
    Places().add(DIGEST, "team/one")
    (tmp_path / "file").touch()
    places = Places(tmp_path / "file" / "host")
    places.add(DIGEST, "team/one")
    assert "team/one" == places.near(DIGEST, "team/two")
