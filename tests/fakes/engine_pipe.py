# SPDX-License-Identifier: Apache-2.0
"""A real Docker Engine at a socket of its own, which notes what it is asked."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from imagekit.buildkit.endpoint import Endpoint
from imagekit.buildkit.streams import SocketStream, join


@contextlib.contextmanager
def asked_engine(endpoint: Endpoint, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Its URL, and the `METHOD PATH` of each connection's first request, in their order."""
    asked: list[str] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "e"))
    listener.listen()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = listener.accept()
                first = caller.recv(1 << 16)
                asked.append(" ".join(first.decode(errors="replace").split(" ", 2)[:2]))
                engine = endpoint.connect()
                engine.sendall(first)
                join(SocketStream(caller), SocketStream(engine))

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"unix://{folder}/e", asked
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
