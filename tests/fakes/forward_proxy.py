# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy that tunnels (CONNECT, RFC 9110 section 9.3.6): every name leads to one server."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class ForwardProxy:
    """`asked` are the names and ports that tunnels were wanted to."""

    address: str = ""
    asked: list[str] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)


@contextlib.contextmanager
def forward_proxy(upstream: str) -> Iterator[ForwardProxy]:
    proxy = ForwardProxy()
    host, _, port = upstream.partition(":")

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            proxy.asked.append(self.path)
            proxy.authorizations.add(self.headers.get("Proxy-Authorization", ""))
            with socket.create_connection((host, int(port)), 10) as there:
                self.send_response(200)
                self.end_headers()
                _tunnel(self.connection, there)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        proxy.address = f"127.0.0.1:{server.server_port}"
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


def _tunnel(here: socket.socket, there: socket.socket) -> None:
    """Carry bytes both ways until one side has ended."""
    others = {here: there, there: here}
    while ready := select.select([here, there], [], [], 10)[0]:
        for source in ready:
            data = source.recv(1 << 16)
            if not data:
                return
            others[source].sendall(data)
