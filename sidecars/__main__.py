# SPDX-License-Identifier: Apache-2.0
"""The steps of a pod before its task: `python -I -m sidecars wait|pull --name N --deadline S`.

`wait` returns when the model answers, `pull` when Ollama has it. Everything else is in the
environment, as the task has it. Exit codes: 0, 1 for a server that does not answer, 2 for a wrong
command line, 143 for SIGTERM (which a process 1 has to ask for).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from .client import find, pod_name, wait
from .engines.ollama import CREATE
from .errors import SidecarError
from .fetch import fetch

_REPEAT_SECONDS = 30.0


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("sidecars", description="Wait for a model server of this pod.")
    parser.add_argument("verb", choices=["wait", "pull"])
    parser.add_argument("--name", help="the sidecar; left out if there is one")
    parser.add_argument("--deadline", type=float, required=True, metavar="SECONDS")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        connection = find(options.name, os.environ)
        if options.verb == "wait":
            pod = pod_name(os.environ)
            wait(connection, options.deadline, pod, _speaker(), started=False)
        else:
            create = json.loads(os.environ.get(CREATE, "null"))
            fetch(connection, create, options.deadline, _speaker())
    except SidecarError as error:
        print(error, file=sys.stderr)  # noqa: T201 - its log is the step's product
        return 1
    return 0


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
