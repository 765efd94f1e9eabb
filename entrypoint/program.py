# SPDX-License-Identifier: Apache-2.0
"""Becoming another program, with the signals' dispositions that programs expect."""

from __future__ import annotations

import os
import sys

from . import signals


def replace_process(words: list[str]) -> int:
    """Returns only if it can't be run: 127 if there is no such program, else 126, as in shells."""
    for number in (signals.SIGPIPE, signals.SIGXFSZ):
        signals.set_handler(number, signals.SIG_DFL)
    try:
        os.execvp(words[0], words)  # noqa: S606
    except FileNotFoundError:
        sys.stderr.write(
            f"imagekit: no command and no program called {words[0]}; the commands are "
            "execute, call and version\n"
        )
        return 127
    except OSError as error:
        sys.stderr.write(f"imagekit: running {words[0]}: {error.strerror}\n")
        return 126
