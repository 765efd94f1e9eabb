# SPDX-License-Identifier: Apache-2.0
"""Where the last image of each spec went, on this machine."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from imagekit.files import replacing
from imagekit.paths import data_directory


def remember_image(spec_path: Path, reference: str) -> None:
    """Keep how `imagekit inspect` finds the image, "" for not at all; failing is no error."""
    with contextlib.suppress(OSError), replacing(place(spec_path)) as stream:
        stream.write(reference.encode())


def latest_image(spec_path: Path) -> str | None:
    """What was kept last for the spec at that path; None where nothing was."""
    try:
        return place(spec_path).read_text(encoding="utf-8") or None
    except OSError:
        return None


def place(spec_path: Path) -> Path:
    """The file in which that is kept."""
    name = hashlib.sha256(str(spec_path.absolute()).encode("utf-8", "surrogateescape")).hexdigest()
    return data_directory() / "latest" / name
