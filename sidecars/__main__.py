# SPDX-License-Identifier: Apache-2.0
"""The steps of a pod around a server: `python -I -m sidecars VERB --name N --deadline S`.

`prepare` brings files before the server starts, `pull` returns when Ollama has the model, `wait`
when the model answers; `inject FILE` writes this runtime as one file. Everything else is in the
environment. Exit codes: 0, 1 for what went wrong, 2 for a wrong command line, 143 for SIGTERM
(which a process 1 has to ask for).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from .errors import SidecarError

_REPEAT_SECONDS = 30.0
_DEADLINE_SECONDS = 3600.0


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("sidecars", description="Steps around a model server.")
    parser.add_argument("verb", choices=["prepare", "pull", "wait", "inject"])
    parser.add_argument("file", nargs="?", help="of inject: where the runtime goes")
    parser.add_argument("--name", help="the sidecar; left out if there is one")
    parser.add_argument("--deadline", type=float, default=_DEADLINE_SECONDS, metavar="SECONDS")
    parser.add_argument("--inputs", metavar="URI", help="of prepare: the task's inputs")
    options = parser.parse_args(words)
    if (options.verb == "inject") != (options.file is not None):
        parser.error("inject needs a FILE, and nothing else does")
    # Threads may be at work, which an exception here would wait for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    try:
        _perform(options)
    except (SidecarError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - its log is the step's product
        return 1
    return 0


def _perform(options: argparse.Namespace) -> None:
    """Each verb imports what it needs: a gate reads no code that fetches files."""
    match options.verb:
        case "inject":
            from .inject import inject  # noqa: PLC0415

            inject(options.file)
        case "prepare":
            from .prepare import prepare  # noqa: PLC0415

            prepare(os.environ, options.inputs, options.deadline, _speaker())
        case "pull":
            from .client import find  # noqa: PLC0415
            from .engines.ollama import CREATE  # noqa: PLC0415
            from .fetch import fetch  # noqa: PLC0415

            create = json.loads(os.environ.get(CREATE, "null"))
            fetch(find(options.name, os.environ), create, options.deadline, _speaker())
        case _:
            from .client import find, pod_name, wait  # noqa: PLC0415

            connection = find(options.name, os.environ)
            pod = pod_name(os.environ)
            wait(connection, options.deadline, pod, _speaker(), started=False)


def _speaker() -> Callable[[str], None]:
    """A log that does not repeat itself more than twice a minute."""
    said: tuple[str, float] = ("", 0.0)

    def say(text: str) -> None:
        nonlocal said
        now = time.monotonic()
        if text != said[0] or now - said[1] >= _REPEAT_SECONDS:
            said = (text, now)
            print(text, file=sys.stderr, flush=True)  # noqa: T201

    return say


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
