# SPDX-License-Identifier: Apache-2.0
"""Becoming another program, with the signals' dispositions that programs expect."""

from __future__ import annotations

import os
import sys

from . import signals
from .errors import EXIT_CODES, EntrypointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .contract import Command


def replace_process(command: Command) -> int:
    """Returns only if it can't be run: 127 if there is no such program, else 126, as in shells."""
    if "dest-dir" in command.options:
        from .bundle import prepare

        try:
            prepare(command)
        except EntrypointError as error:
            from .storage import redacted

            sys.stderr.write(f"imagekit: {redacted(str(error))}\n")
            return EXIT_CODES[error.outcome]
    words = command.arguments
    for number in (signals.SIGPIPE, signals.SIGXFSZ):
        signals.set_handler(number, signals.SIG_DFL)
    try:
        os.execvp(words[0], words)  # noqa: S606
    except FileNotFoundError:
        sys.stderr.write(
            f"imagekit: no command and no program called {words[0]}; the commands are "
            "execute, map-execute, fast-execute, call, wait and version\n"
        )
        return 127
    except OSError as error:
        sys.stderr.write(f"imagekit: running {words[0]}: {error.strerror}\n")
        return 126
