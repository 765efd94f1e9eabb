# SPDX-License-Identifier: Apache-2.0
"""A real BuildKit at an address of its own: the one in a Docker Engine, behind a piping socket.

With certificates the socket is TCP and asks its callers for theirs, as buildkitd does.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import final

from imagekit.buildkit.engine import Engine
from imagekit.buildkit.streams import SocketStream, join


@final
class WorkerPipe:
    """Use as a context manager; `address` is what a user writes."""

    def __init__(self, engine: Engine, folder: Path, tls: ssl.SSLContext | None = None) -> None:
        self._engine = engine
        self._tls = tls
        if tls is None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(folder / "w"))
            self.address = f"unix://{folder}/w"
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.address = f"tcp://localhost:{self._listener.getsockname()[1]}"
        self._listener.listen()
        self._streams: list[SocketStream] = []

    def __enter__(self) -> WorkerPipe:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End all connections, as a network does."""
        for stream in self._streams:
            stream.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        try:
            if self._tls is not None:
                caller = self._tls.wrap_socket(caller, server_side=True)
        except OSError:
            caller.close()
            return
        near, far = SocketStream(caller), SocketStream(self._engine.hijack("/grpc", {}))
        self._streams += [near, far]
        join(near, far)
