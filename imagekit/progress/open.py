# SPDX-License-Identifier: Apache-2.0
"""The progress that fits where it goes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Literal, TextIO, TypeAlias

from imagekit.progress import Progress, reason
from imagekit.progress.board import Board, Display
from imagekit.progress.log import LogFile
from imagekit.progress.plain import Plain

Style: TypeAlias = Literal["auto", "plain", "json"]


@contextlib.contextmanager
def open_progress(
    stream: TextIO, environ: Mapping[str, str], style: Style = "auto", log: LogFile | None = None
) -> Iterator[Progress]:
    """Show work on `stream`; `auto` is live on a terminal, and lines elsewhere.

    The whole log goes into `log`, which is closed, and named at the end.
    """
    shown = _display(stream, environ, style)
    board = Board([shown] if log is None else [shown, Plain(log)])
    try:
        yield board
    except BaseException as error:
        board.close(reason(error))
        if log is not None and log.path is not None:
            log.write(f"error: {reason(error)}\n")
        raise
    else:
        board.close()
    finally:
        _name(stream, style, log)


def _display(stream: TextIO, environ: Mapping[str, str], style: Style) -> Display:
    if style == "json":
        from imagekit.progress.records import Records  # noqa: PLC0415 - few ask for it

        return Records(stream)
    if style == "auto" and stream.isatty() and environ.get("TERM") != "dumb":
        from imagekit.progress.live import LiveDisplay  # noqa: PLC0415 - rich is for terminals

        return LiveDisplay(stream, colour=not environ.get("NO_COLOR"))
    return Plain(stream)


def _name(stream: TextIO, style: Style, log: LogFile | None) -> None:
    if log is None:
        return
    log.close()
    if style == "json":
        import json  # noqa: PLC0415 - few ask for it

        told = {"event": "log", "path": str(log.path) if log.path else None}
        stream.write(json.dumps(told) + "\n")
    elif log.failure:
        stream.write(f"no log was kept: {log.failure}\n")
    elif log.path is not None:
        stream.write(f"log: {log.path}\n")
    stream.flush()
