# SPDX-License-Identifier: Apache-2.0
"""A server on loopback that answers requests with given bytes, whatever is asked."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Heard:
    """A request: the number of its connection, its first line, and its headers by lower name."""

    connection: int
    line: str
    headers: dict[str, str]


@dataclass
class WireServer:
    address: str
    heard: list[Heard] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when a connection was closed from here."""


@dataclass(frozen=True)
class Says:
    """`early`: before the request's body is read; `hang_up`: close the connection after it."""

    data: bytes
    early: bool = False
    hang_up: bool = False


def answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@contextlib.contextmanager
def wire_server(script: Sequence[Says | bytes]) -> Iterator[WireServer]:
    """Answers the requests in their order, over all connections; then it hangs up."""
    left = [each if isinstance(each, Says) else Says(each) for each in script]
    connections = iter(range(1000))
    lock = threading.Lock()
    server = WireServer("")

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with lock:
                number = next(connections)
            while line := self.rfile.readline().decode().strip():
                headers = {}
                while header := self.rfile.readline().decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                with lock:
                    server.heard.append(Heard(number, line, headers))
                    says = left.pop(0) if left else Says(b"", hang_up=True)
                if not says.early:
                    self.rfile.read(int(headers.get("content-length", "0")))
                self.wfile.write(says.data)
                if says.hang_up or says.early:
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def shutdown_request(self, request: Any) -> None:
            super().shutdown_request(request)
            server.hung_up.set()

    with Server(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        host, port = listening.server_address[:2]
        server.address = f"{host!s}:{port}"
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
