# SPDX-License-Identifier: Apache-2.0
"""What containers say: whole lines, each behind its container's name."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TextIO

_CHUNK_BYTES = 65536
_LONGEST_LINE_BYTES = 1 << 20
_TAIL_LINES, _TAIL_BYTES = 80, 2048
"""What becomes a termination message with FallbackToLogsOnError."""
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


class Lines:
    """Bytes in, whole lines out. A line of more than a mebibyte is cut into several."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > _LONGEST_LINE_BYTES:
            lines.append(self._rest[:_LONGEST_LINE_BYTES])
            self._rest = self._rest[_LONGEST_LINE_BYTES:]
        return lines

    def end(self) -> list[bytes]:
        """The last line, if it did not end with a line break."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class Log:
    """Of all containers of a pod; `stream` is the caller's. Colours only where it is a terminal."""

    def __init__(self, stream: TextIO, names: list[str], *, colours: bool) -> None:
        self._stream = stream
        self._width = max(map(len, names), default=0)
        self._tails: dict[str, deque[str]] = {name: deque(maxlen=_TAIL_LINES) for name in names}
        self._colours = {
            name: _COLOURS[place % len(_COLOURS)] if colours else None
            for place, name in enumerate(names)
        }

    def line(self, name: str, text: str) -> None:
        self._tails[name].append(text)
        prefix = f"{name:{self._width}} |"
        colour = self._colours[name]
        if colour is not None:
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        self._stream.write(f"{prefix} {text}\n")
        self._stream.flush()

    def begin(self, name: str) -> None:
        """A new run of the container: what an earlier one said is not its tail."""
        self._tails[name].clear()

    def tail(self, name: str, lines: int = _TAIL_LINES) -> list[str]:
        return list(self._tails[name])[-lines:]

    def message(self, name: str) -> str:
        """The end of the log, as a termination message."""
        text = "".join(f"{line}\n" for line in self.tail(name))
        return text.encode()[-_TAIL_BYTES:].decode(errors="ignore")


async def follow(stream: asyncio.StreamReader, name: str, log: Log) -> None:
    """Write what comes, until the stream ends."""
    lines = Lines()
    while data := await stream.read(_CHUNK_BYTES):
        _write(lines.add(data), name, log)
    _write(lines.end(), name, log)


def _write(lines: list[bytes], name: str, log: Log) -> None:
    for line in lines:
        log.line(name, line.rstrip(b"\r").decode(errors="replace"))
