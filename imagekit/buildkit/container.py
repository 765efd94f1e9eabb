# SPDX-License-Identifier: Apache-2.0
"""A program in a running container of the engine, its standard input and output as a stream."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from typing import final

from imagekit.buildkit.engine import Engine
from imagekit.buildkit.streams import SocketStream, Stream
from imagekit.errors import EngineError

_HEAD_BYTES = 8
_STDOUT = 1
_ERRORS_KEPT_BYTES = 4096


def exec_stream(engine: Engine, container: str, command: Sequence[str]) -> Stream:
    """Start `command` in `container`.

    Raises EngineError where there is no such container, or it does not run.
    """
    return _Attached(engine.start_exec(container, command))


@final
class _Attached:
    """Undoes the engine's framing: each piece of output has a head with its stream and length."""

    def __init__(self, connection: socket.socket) -> None:
        self._raw = SocketStream(connection)
        self._reader = connection.makefile("rb")
        self._errors = b""
        self._writing = threading.Lock()

    def read(self) -> bytes:
        while True:
            head = self._reader.read(_HEAD_BYTES)
            if len(head) < _HEAD_BYTES:
                if self._errors:
                    text = self._errors.decode(errors="replace").strip()
                    raise EngineError(f"the program in the container ended: {text}")
                return b""
            data = self._reader.read(int.from_bytes(head[4:], "big"))
            if head[0] == _STDOUT and data:
                return data
            self._errors = (self._errors + data)[-_ERRORS_KEPT_BYTES:]

    def write(self, data: bytes) -> None:
        with self._writing:
            self._raw.write(data)

    def close(self) -> None:
        self._raw.close()
        with contextlib.suppress(OSError):
            self._reader.close()
