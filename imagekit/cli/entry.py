# SPDX-License-Identifier: Apache-2.0
"""Where the program starts: a command that would do nothing is answered before anything is loaded.

Only a process that is nothing but the program may do that: what it reads is watched from here on,
and it ends without taking all apart that it has loaded, which takes longer than some commands.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence

_REPEATABLE = frozenset({"build"})
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""What a command loads stays until its end: looking through it every 700 objects finds nothing."""


def main() -> int:
    """Run the program; returns its exit code."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    arguments = sys.argv[1:]
    if arguments and arguments[0] in _REPEATABLE:
        from imagekit.receipts.again import answered  # noqa: PLC0415 - other verbs need nothing

        if answered(arguments):
            return 0
        from imagekit.receipts import watch  # noqa: PLC0415 - only what builds is watched

        watch.begin(arguments)
    ended: list[int] = []
    # Functions that are registered later run before this one, and threads have ended by then.
    atexit.register(_leave, ended)
    from imagekit.cli.main import main as run  # noqa: PLC0415 - it loads the command line

    ended.append(run(arguments))
    return ended[0]


def _leave(ended: Sequence[int]) -> None:
    """End the process, unless an exception ends it or its output can't be written."""
    if not ended:
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return  # the interpreter tells of it in its own way
    os._exit(ended[0])
