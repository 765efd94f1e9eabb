# SPDX-License-Identifier: Apache-2.0
"""Where caches and the local store are kept (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def cache_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """What can be made again: downloads, layers, unpacked root file systems."""
    return _base(environ, "XDG_CACHE_HOME", ".cache")


def data_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """What the user built and has not asked to be written elsewhere: the local store."""
    return _base(environ, "XDG_DATA_HOME", ".local/share")


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """What is worth keeping for a while, such as logs."""
    return _base(environ, "XDG_STATE_HOME", ".local/state")


def _base(environ: Mapping[str, str], variable: str, default: str) -> Path:
    configured = environ.get(variable, "")
    # "All paths set in these environment variables must be absolute"; others are ignored.
    root = Path(configured) if os.path.isabs(configured) else Path.home() / default
    return root / "imagekit"
