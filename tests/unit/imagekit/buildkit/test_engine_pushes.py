# SPDX-License-Identifier: Apache-2.0
"""What engines say of an image that they pushed: 20.10, and 28.5 with the containerd store."""

from __future__ import annotations

from imagekit.buildkit.engine import pushed_digest

DIGEST = f"sha256:{'b' * 64}"


def test_the_digest_is_read_from_what_either_says() -> None:
    """Beside the line for people an old engine has a field, which the other lacks."""
    line = {"status": f"1: digest: {DIGEST} size: 2065"}
    assert pushed_digest(line) == DIGEST
    assert pushed_digest({"aux": {"Tag": "1", "Digest": DIGEST, "Size": 2065}}) == DIGEST


def test_other_lines_say_none() -> None:
    """Layers, and whatever looks like one."""
    for status in ("Pushed", "Layer already exists", f"digest {DIGEST}"):
        assert pushed_digest({"status": status, "id": "df6691d3b012"}) == ""
