# SPDX-License-Identifier: Apache-2.0
"""Plugins and the Python of the base that a spec comes to stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.answers import Answers
from imagekit.errors import LockError
from imagekit.lock.base import resolve_base
from imagekit.progress import Silent
from imagekit.spec.model import ImageSpec


def test_a_plugin_for_another_python_is_refused_before_anything_is_asked_for(
    tmp_path: Path,
) -> None:
    """With what holds it back, also where the spec leaves the Python to the base."""
    spec = ImageSpec(plugins=["duckdb", "whylogs"])
    with pytest.raises(LockError) as caught:
        resolve_base(
            spec, tmp_path, "linux/amd64", environ={}, progress=Silent(), answers=Answers()
        )
    assert caught.value.message == (
        "plugins: whylogs does not work with Python 3.11: whylogs-sketching has wheels for no "
        "later one; the base has Python 3.11"
    )
    assert caught.value.hint == "it takes python_version <3.11: base_image names such a base"
