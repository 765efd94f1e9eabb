# SPDX-License-Identifier: Apache-2.0
"""Telling that a run failed: standard error, error.pb, the termination log, and the exit code."""

from __future__ import annotations

import os
from errno import EDQUOT, EFBIG, ENOSPC
from time import time

from . import document, records
from .contract import DEFAULT_TERMINATION_LOG
from .errors import EXIT_CODES, EntrypointError, OutputsError
from .storage import redacted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .contract import Command


_NO_ROOM = (EDQUOT, EFBIG, ENOSPC)


def publish(failure: document.Failure, command: Command, environ: Mapping[str, str]) -> int:
    """Tell everyone who may be listening; return the exit code."""
    write_all(2, document.for_people(failure).encode())
    prefix = command.options.get("output-prefix")
    written = False
    if prefix is not None:
        try:
            leave_document(failure, command, prefix)
            written = True
        except EntrypointError as error:
            line = f"imagekit: {redacted(str(error))}\n"
            write_all(2, line.encode("utf-8", "backslashreplace"))
    write_termination_message(command, document.termination_message(failure))
    fails = environ.get("FLYTE_FAIL_ON_ERROR", "").lower() in ("1", "t", "true")
    if command.flyte and written and not fails and failure.outcome != "interrupted":
        return EXIT_CODES["ok"]
    return failure.exit_code


def leave_document(failure: document.Failure, command: Command, prefix: str) -> None:
    """Where a whole one has no room, as on a full disk, a short one may have."""
    data = document.encoded(failure, time(), command.worker or "")
    is_shared = command.worker is not None
    try:
        records.fail(prefix, data, is_shared=is_shared)
    except OutputsError as error:
        if getattr(error.__cause__, "errno", None) not in _NO_ROOM:
            raise
        short = document.encoded(document.shortened(failure), time(), command.worker or "")
        records.fail(prefix, short, is_shared=is_shared)


def write_all(descriptor: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        return


def write_termination_message(command: Command, message: bytes) -> None:
    path = command.options.get("termination-log") or DEFAULT_TERMINATION_LOG
    if not os.path.isfile(path):
        return
    try:
        with open(path, "wb") as file:
            file.write(message)
    except OSError as error:
        write_all(2, f"imagekit: writing {path}: {error}\n".encode())
