# SPDX-License-Identifier: Apache-2.0
"""Bytes both ways between a worker's stream and a local socket, where grpcio speaks HTTP/2."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from typing import Protocol, final

_CHUNK_BYTES = 1 << 18


class Stream(Protocol):
    """A connection of bytes; reading gives b"" at its end. Any thread may close it."""

    def read(self) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


@final
class SocketStream:
    """A connected socket as a stream."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self) -> bytes:
        return self._connection.recv(_CHUNK_BYTES)

    def write(self, data: bytes) -> None:
        self._connection.sendall(data)

    def close(self) -> None:
        # Closing alone does not wake a thread that reads.
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def join(one: Stream, other: Stream) -> None:
    """Carry bytes both ways in threads of their own, until either side ends; then close both."""
    for source, target in ((one, other), (other, one)):
        threading.Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: Stream, target: Stream) -> None:
    try:
        while data := source.read():
            target.write(data)
    except (OSError, ValueError):
        pass  # one of them is closed: the other one is told so
    finally:
        source.close()
        target.close()


@final
class LocalSocket:
    """A listening Unix socket that nobody else can reach; each caller is joined to a new stream."""

    def __init__(self, dial: Callable[[], Stream]) -> None:
        self._dial = dial
        self._folder = tempfile.mkdtemp(prefix="imagekit-")
        self.path = os.path.join(self._folder, "s")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            try:
                join(SocketStream(caller), self._dial())
            except Exception:  # noqa: BLE001 - the caller sees a closed connection
                caller.close()
