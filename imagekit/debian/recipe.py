# SPDX-License-Identifier: Apache-2.0
"""What a base's bytes depend on, told without looking at them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from imagekit.debian.base import DebianBase


def recipe(base: DebianBase) -> str:
    """Names all that a base's tree depends on: its packages, and the code and data at work."""
    return f"debian base {base.digest} by {workings()}"


@cache
def workings() -> str:
    """A digest of this package's code and data: a base made by other code is another base."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for source in sorted(package.glob("*.py")):
        digest.update(source.read_bytes())
    digest.update((package.parent / "bases" / "debian.toml").read_bytes())
    return digest.hexdigest()
