# SPDX-License-Identifier: Apache-2.0
"""Answers a command that would do nothing, from the receipt that it left when it last did it.

This runs before anything else of imagekit is loaded, and decides by equality alone: what can't be
found out, or is not exactly as it was, is left to the command itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from imagekit import xdg
from imagekit.receipts.places import all_hold
from imagekit.receipts.reading import folder_state, unchanged

_FORMAT = 1
_PASSING = frozenset({"COLUMNS", "LINES", "OLDPWD", "SHLVL", "_"})
"""Variables that a shell changes as it goes; every other one is part of the command."""

_DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError)


def answered(arguments: Sequence[str]) -> bool:
    """Print what the command printed last time, if doing it again would change nothing."""
    try:
        with open(receipt_path(arguments), encoding="utf-8") as stream:
            receipt = json.load(stream)
        if not _stands(receipt):
            return False
        _note_use(receipt["uses"])
        output = str(receipt["output"])
    except _DAMAGED:
        return False
    sys.stderr.write("unchanged: the image is where the last build left it\n")
    sys.stdout.write(output)
    sys.stdout.flush()
    return True


def receipt_path(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """Where the receipt of a command is: named after its words, folder, variables and Python."""
    variables = sorted(item for item in environ.items() if item[0] not in _PASSING)
    command = [_FORMAT, [*arguments], os.getcwd(), variables, sys.executable, sys.version]
    key = hashlib.sha256(json.dumps(command).encode()).hexdigest()
    return os.path.join(xdg.folder(environ, xdg.CACHE), "receipts", key)


def _stands(receipt: Any) -> bool:
    """Whether all is as it was: what was read first, as that is asked for at the least cost."""
    return (
        all(unchanged(path, state) for path, state in receipt["files"].items())
        and all(folder_state(path) == state for path, state in receipt["folders"].items())
        and all_hold(receipt["places"])
    )


def _note_use(paths: Sequence[str]) -> None:
    """As `imagekit.usage.used` does, for what `imagekit gc` bounds."""
    now_ns = time.time_ns()
    for path in paths:
        try:
            os.utime(path, ns=(now_ns, os.stat(path).st_mtime_ns))
        except OSError:
            continue
