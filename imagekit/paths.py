# SPDX-License-Identifier: Apache-2.0
"""Where caches and the local store are kept (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from imagekit import xdg


def cache_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """What can be made again: downloads, layers, unpacked root file systems."""
    return Path(xdg.folder(environ, xdg.CACHE))


def data_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """What the user built and has not asked to be written elsewhere: the local store."""
    return Path(xdg.folder(environ, xdg.DATA))


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """What is worth keeping for a while, such as logs."""
    return Path(xdg.folder(environ, xdg.STATE))
