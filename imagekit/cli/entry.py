# SPDX-License-Identifier: Apache-2.0
"""Where the program starts: a command that would do nothing is answered before anything is loaded.

Only a process that is nothing but the program may do that: what it reads is watched from here on.
"""

from __future__ import annotations

import gc
import sys

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
    from imagekit.cli.main import main as run  # noqa: PLC0415 - it loads the command line

    return run(arguments)
