# SPDX-License-Identifier: Apache-2.0
"""Bytes both ways between a worker's stream and a local socket, where grpcio speaks HTTP/2."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from typing import Protocol, final

from imagekit.errors import BuildError, ImagekitError

_CHUNK_BYTES = 1 << 18
_FRAME_TYPE, _SETTINGS = 3, b"\4"
"""Where a frame of HTTP/2 has its type, and that of a server's first one (RFC 9113, 3.4)."""


class Stream(Protocol):
    """A connection of bytes; reading gives b"" at its end. Any thread may close it.

    An ImagekitError says why it ended.
    """

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


@final
class SpokenStream:
    """A program's output that has to be HTTP/2 from its first byte; other text is an error."""

    def __init__(self, stream: Stream, where: str) -> None:
        self._stream = stream
        self._where = where
        self._begun = False

    def read(self) -> bytes:
        data = self._stream.read()
        if not self._begun and data[_FRAME_TYPE : _FRAME_TYPE + 1] not in (b"", _SETTINGS):
            text = data.decode(errors="replace").strip()
            raise BuildError(f"there is no BuildKit at {self._where}: {text[:500]}")
        self._begun = True
        return data

    def write(self, data: bytes) -> None:
        self._stream.write(data)

    def close(self) -> None:
        self._stream.close()


def join(
    one: Stream, other: Stream, failed: Callable[[ImagekitError], object] | None = None
) -> None:
    """Carry bytes both ways in threads of their own, until either side ends; then close both.

    `failed` is told why, before they are closed, where a stream says so.
    """
    for source, target in ((one, other), (other, one)):
        threading.Thread(target=_carry, args=(source, target, failed), daemon=True).start()


def _carry(
    source: Stream, target: Stream, failed: Callable[[ImagekitError], object] | None
) -> None:
    try:
        while data := source.read():
            target.write(data)
    except (OSError, ValueError):
        pass  # one of them is closed: the other one is told so
    except ImagekitError as error:
        if failed is not None:
            failed(error)
    finally:
        source.close()
        target.close()


def new_socket() -> str:
    """The path of a socket to be, in a folder that nobody else can enter."""
    return os.path.join(tempfile.mkdtemp(prefix="imagekit-"), "s")


def remove_socket(path: str) -> None:
    """The folder goes too."""
    for remove, each in ((os.unlink, path), (os.rmdir, os.path.dirname(path))):
        with contextlib.suppress(OSError):
            remove(each)


@final
class LocalSocket:
    """A listening Unix socket that nobody else can reach; each caller is joined to a new stream."""

    def __init__(self, dial: Callable[[], Stream]) -> None:
        self._dial = dial
        self.failure: ImagekitError | None = None
        """Why a stream could not be had, or ended."""
        self.path = new_socket()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        remove_socket(self.path)

    def _failed(self, error: ImagekitError) -> None:
        self.failure = error

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            try:
                stream = self._dial()
            except Exception as error:  # noqa: BLE001 - the caller sees a closed connection
                if isinstance(error, ImagekitError):
                    self.failure = error
                caller.close()
            else:
                join(SocketStream(caller), stream, self._failed)
