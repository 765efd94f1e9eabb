# SPDX-License-Identifier: Apache-2.0
"""The folders of the XDG Base Directory Specification, as texts."""

from __future__ import annotations

import os
from collections.abc import Mapping

CACHE = ("XDG_CACHE_HOME", ".cache")
DATA = ("XDG_DATA_HOME", ".local/share")
STATE = ("XDG_STATE_HOME", ".local/state")


def folder(environ: Mapping[str, str], kind: tuple[str, str]) -> str:
    """Ours in that of `kind`: of the variable, or else below the home folder."""
    variable, default = kind
    configured = environ.get(variable, "")
    # "All paths set in these environment variables must be absolute"; others are ignored.
    if not os.path.isabs(configured):
        configured = os.path.join(os.path.expanduser("~"), default)
    return os.path.join(configured, "imagekit")
