# SPDX-License-Identifier: Apache-2.0
"""A proxy on loopback before a real registry: it counts what passes, and fails as it is told to.

Without a registry behind it, it is one that knows only the answers it was given.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Action = Literal[
    "answer",
    "cut up",
    "cut down",
    "lose answer",
    "flip up",
    "flip down",
    "slow",
    "no mount",
    "no range",
    "relative",
    "headers",
]


@dataclass
class Fault:
    """What happens to the first `times` requests whose `METHOD path` matches `where`.

    `answer`: status, headers and body instead of the registry's. `cut up`, `cut down`: the
    connection closes after `after` bytes of a body. `lose answer`: the registry gets the request,
    and the client no answer. `flip up`, `flip down`: one byte of a body is another. `slow`: the
    answer waits `seconds`. `no mount`, `no range`: the registry is not told of the mount, or of
    the range, that is wanted. `relative`: a Location becomes a path. `headers`: are set in the
    registry's answer, or removed where empty.
    """

    where: str
    action: Action
    times: int = 1
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after: int = 0
    seconds: float = 0.0

    def takes(self, line: str) -> bool:
        if self.times > 0 and re.search(self.where, line):
            self.times -= 1
            return True
        return False


@dataclass(frozen=True)
class Seen:
    """A request as it came; `line` is `METHOD path?query`."""

    line: str
    headers: Mapping[str, str]
    head_bytes: int
    body_bytes: int
    body: bytes


class FaultProxy:
    """Before `upstream` (`HOST:PORT`, plain HTTP), or before nothing."""

    def __init__(self, upstream: str | None, faults: list[Fault]) -> None:
        self.upstream = upstream
        self.faults = faults
        self.seen: list[Seen] = []
        self.address = ""
        self.lock = threading.Lock()

    def lines(self, pattern: str = "") -> list[str]:
        return [item.line for item in self.seen if re.search(pattern, item.line)]

    @property
    def sent_bytes(self) -> int:
        """All that clients sent, heads of requests included."""
        return sum(item.head_bytes + item.body_bytes for item in self.seen)

    def faults_for(self, line: str) -> dict[str, Fault]:
        """One of each kind, the first that stands in the list."""
        found: dict[str, Fault] = {}
        with self.lock:
            for fault in self.faults:
                if fault.action not in found and fault.takes(line):
                    found[fault.action] = fault
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def _handle(self) -> None:
        line = f"{self.command} {self.path}"
        faults = self.proxy.faults_for(line)
        body = self._body(faults.get("cut up"))
        head = len(self.requestline) + 2 + len(str(self.headers))
        short = body or b""
        self.proxy.seen.append(Seen(line, dict(self.headers), head, len(short), short[:4096]))
        if "slow" in faults:
            time.sleep(faults["slow"].seconds)
        if "answer" in faults:
            self._say(faults["answer"])
        elif self.proxy.upstream is None:
            self._say(Fault("", "answer", status=404))
        else:
            self._forward(short, faults)

    def _body(self, cut: Fault | None) -> bytes:
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(length if cut is None else min(length, cut.after))

    def _say(self, fault: Fault) -> None:
        self.send_response(fault.status)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in fault.headers:
            self.send_header("Content-Length", str(len(fault.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(fault.body)
        self.close_connection = True

    def _forward(self, body: bytes, faults: Mapping[str, Fault]) -> None:
        assert self.proxy.upstream is not None
        if "flip up" in faults and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        path = self.path
        if "no mount" in faults:
            path = path.partition("?")[0]
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=30)
        with contextlib.closing(connection):
            connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name != "Range" or "no range" not in faults:
                    connection.putheader(name, value)
            connection.endheaders()
            connection.send(body)
            if "cut up" in faults:
                self._cut()
                return
            answer = connection.getresponse()
            data = b"" if self.command == "HEAD" else answer.read()
            self._return(answer, data, faults)

    def _return(
        self, answer: http.client.HTTPResponse, data: bytes, faults: Mapping[str, Fault]
    ) -> None:
        if "lose answer" in faults:
            self._cut()
            return
        if "flip down" in faults and data:
            data = bytes([data[0] ^ 1]) + data[1:]
        changed = faults["headers"].headers if "headers" in faults else {}
        self.send_response(answer.status)
        if "relative" in faults:
            place = urlsplit(answer.getheader("Location", ""))
            changed = {**changed, "Location": place._replace(scheme="", netloc="").geturl()}
        names = {name.lower() for name in changed} | {"connection", "transfer-encoding"}
        for name, value in answer.getheaders():
            if name.lower() not in names:
                self.send_header(name, value)
        for name, value in changed.items():
            if value:
                self.send_header(name, value)
        if answer.getheader("Content-Length") is None and answer.status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if "cut down" in faults:
            self.wfile.write(data[: faults["cut down"].after])
            self._cut()
            return
        self.wfile.write(data)

    def _cut(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        del format, args


for _method in ("GET", "HEAD", "POST", "PUT", "PATCH"):
    setattr(_Handler, f"do_{_method}", _Handler._handle)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is what these tests are about."""
        del request, client_address


@contextlib.contextmanager
def fault_proxy(upstream: str | None, *faults: Fault) -> Iterator[FaultProxy]:
    proxy = FaultProxy(None if upstream is None else urlsplit(f"//{upstream}").netloc, [*faults])
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        proxy.address = f"127.0.0.1:{server.server_address[1]}"
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
