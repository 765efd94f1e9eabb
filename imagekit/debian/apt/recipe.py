# SPDX-License-Identifier: Apache-2.0
"""What of imagekit the layers of Debian packages depend on."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from imagekit.debian.recipe import workings


@cache
def apt_workings() -> str:
    """A digest of the code and data at work, as a base's: see `debian.recipe`."""
    digest = hashlib.sha256(workings().encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()
