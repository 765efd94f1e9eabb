# SPDX-License-Identifier: Apache-2.0
"""`wait`: until a file exists, a port accepts, or a URL answers with success; for init containers.

Exits with 0, or after `--timeout` with the timeout's code. What was the matter is said at the end,
and nothing before.
"""

from __future__ import annotations

import os
import sys
from time import monotonic, sleep

from . import signals
from .errors import EXIT_CODES, UsageError
from .storage import scheme_of, without_secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

    from .contract import Command

INTERVAL_SECONDS = 0.2
ATTEMPT_SECONDS = 5.0


def wait(command: Command) -> int:
    target = command.arguments[0]
    for number in (signals.SIGTERM, signals.SIGINT):
        signals.set_handler(number, _leave)
    try:
        attempt = _attempt_for(target)
    except (UsageError, ValueError) as error:
        sys.stderr.write(f"imagekit: waiting for {without_secrets(target)}: {error}\n")
        return EXIT_CODES["usage"]
    limit = command.timeout_seconds
    deadline = None if limit is None else monotonic() + limit
    while True:
        problem = attempt()
        if problem is None:
            return EXIT_CODES["ok"]
        if deadline is not None and monotonic() + INTERVAL_SECONDS > deadline:
            place = without_secrets(target)
            sys.stderr.write(f"imagekit: waited {limit} seconds for {place}: {problem}\n")
            return EXIT_CODES["timeout"]
        sleep(INTERVAL_SECONDS)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """PID 1 gets no signal that it does not handle."""
    del frame
    raise SystemExit(128 + number)


def _attempt_for(target: str) -> Callable[[], str | None]:
    """What tries once, and returns what is the matter, or None."""
    scheme = scheme_of(target)
    if scheme in ("", "file"):
        path = target[len("file://") :] if scheme else target
        return lambda: None if os.path.exists(path) else "it does not exist"
    from urllib.parse import urlsplit

    parts = urlsplit(target)
    if scheme not in ("tcp", "http", "https") or not parts.hostname:
        raise UsageError("a target is a FILE, tcp://HOST:PORT or http://...")
    if scheme == "tcp" and parts.port is None:
        raise UsageError("tcp:// needs a port")
    return lambda: _without_oserror(_connect if scheme == "tcp" else _get, target)


def _without_oserror(attempt: Callable[[str], str | None], target: str) -> str | None:
    from http.client import HTTPException

    try:
        return attempt(target)
    except (OSError, HTTPException) as error:
        return f"{error}" or type(error).__name__


def _connect(target: str) -> None:
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(target)
    socket.create_connection((parts.hostname, parts.port or 0), ATTEMPT_SECONDS).close()


def _get(target: str) -> str | None:
    """Asked of the host itself, whatever proxy the environment names for the world outside."""
    from urllib.request import ProxyHandler, build_opener

    with build_opener(ProxyHandler({})).open(target, timeout=ATTEMPT_SECONDS):
        return None
