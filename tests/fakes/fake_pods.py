# SPDX-License-Identifier: Apache-2.0
"""A fake of one call of Kubernetes' API: `exec` in a pod, whose command really runs, here.

It speaks websocket (RFC 6455) in version 4 or 5 of Kubernetes' subprotocol, and refuses in the
words of an API server and a kubelet.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import ssl
import struct
import subprocess
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, final
from urllib.parse import parse_qs, urlsplit

import yaml

from imagekit.buildkit.endpoint import Certificates

_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE, _PING = 2, 8, 9

REFUSED: Mapping[str, tuple[int, str]] = {
    "absent": (404, 'pods "absent" not found'),
    "pending": (500, 'unable to upgrade connection: container not found ("buildkitd")'),
    "done": (400, "cannot exec into a container in a completed pod; current phase is Succeeded"),
}
"""Pods that no command runs in. API servers write documents, kubelets (500) plain text."""


@final
class FakePods:
    """Use as a context manager. `programs` are the commands of its pods, by the pods' names."""

    def __init__(
        self,
        programs: Mapping[str, Sequence[str]],
        *,
        version: int = 5,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self._programs = programs
        self._version = version
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> FakePods:
        serve = {"poll_interval": 0.01}
        threading.Thread(target=self._server.serve_forever, kwargs=serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, folder: Path, certificates: Certificates | None = None) -> Path:
        """What kubectl would read, with two contexts, of which `other` leads nowhere."""
        cluster: dict[str, Any] = {
            "server": f"{self._scheme}://localhost:{self._server.server_port}"
        }
        user: dict[str, Any] = {"token": "canary"}
        if certificates is not None:
            cluster["certificate-authority"] = str(certificates.authority)
            user = {
                "client-certificate": str(certificates.certificate),
                "client-key": str(certificates.key),
            }
        nowhere = {"server": "http://127.0.0.1:9"}
        document = {
            "current-context": "here",
            "clusters": [
                {"name": "here", "cluster": cluster},
                {"name": "other", "cluster": nowhere},
            ],
            "users": [{"name": "me", "user": user}],
            "contexts": [
                {"name": name, "context": {"cluster": name, "user": "me"}}
                for name in ("here", "other")
            ],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return path

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                _, _, _, _, namespace, _, name, verb = parts.path.split("/")
                asked = {**parse_qs(parts.query), "namespace": [namespace], "verb": [verb]}
                fake.asked.append(asked)
                self.close_connection = True
                if name in REFUSED:
                    self._refuse(*REFUSED[name])
                    return
                key = self.headers["Sec-WebSocket-Key"].encode()
                accept = base64.b64encode(hashlib.sha1(key + _KEY).digest()).decode()
                self.send_response_only(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.send_header("Sec-WebSocket-Accept", accept)
                offered = self.headers["Sec-WebSocket-Protocol"].replace(" ", "").split(",")
                protocol = next(x for x in offered if x.startswith(f"v{fake._version}."))
                self.send_header("Sec-WebSocket-Protocol", protocol)
                self.end_headers()
                _Exec(self.rfile, self.wfile).run([*fake._programs[name], *asked["command"][1:]])

            def _refuse(self, status: int, message: str) -> None:
                document = {"kind": "Status", "status": "Failure", "message": message}
                body = (message if status == 500 else json.dumps(document)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
                del format, args

        return Handler


@final
class _Exec:
    """One command over one websocket."""

    def __init__(self, reader: BufferedIOBase, writer: BufferedIOBase) -> None:
        self._reader = reader
        self._writer = writer
        self._guard = threading.Lock()

    def run(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
        except FileNotFoundError as error:
            self._end(f'exec: "{error.filename}": executable file not found in $PATH')
            return
        with process:
            threading.Thread(target=self._take, args=(process,), daemon=True).start()
            outputs = [
                threading.Thread(target=self._give, args=(channel, stream))
                for channel, stream in ((1, process.stdout), (2, process.stderr))
            ]
            for thread in outputs:
                thread.start()
            for thread in outputs:
                thread.join()
        status = process.returncode
        self._end(f"command terminated with exit code {status}" if status else "")

    def _take(self, process: subprocess.Popen[bytes]) -> None:
        """Standard input, until the caller goes away, which ends the command."""
        assert process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has ended
            while (message := self._receive()) is not None:
                if message[:1] == b"\0":
                    process.stdin.write(message[1:])
        process.terminate()

    def _give(self, channel: int, stream: IO[bytes] | None) -> None:
        assert stream is not None
        self._send(_BINARY, bytes([channel]))  # as kubelets begin
        with contextlib.suppress(OSError):
            while data := stream.read(1 << 15):
                self._send(_PING, b"still here?")
                self._send(_BINARY, bytes([channel]) + data)

    def _end(self, failure: str) -> None:
        document = {"status": "Failure", "message": failure} if failure else {"status": "Success"}
        with contextlib.suppress(OSError):
            self._send(_BINARY, b"\3" + json.dumps(document).encode())
            self._send(_CLOSE, struct.pack("!H", 1000))

    def _send(self, opcode: int, data: bytes) -> None:
        size = len(data)
        length = bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size)
        with self._guard:
            self._writer.write(bytes([0x80 | opcode]) + length + data)

    def _receive(self) -> bytes | None:
        """The next message with data; None at the end."""
        while len(head := self._reader.read(2)) == 2:
            opcode, size = head[0] & 15, head[1] & 127
            if size == 126:
                (size,) = struct.unpack("!H", self._reader.read(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self._reader.read(8))
            mask = self._reader.read(4)
            data = self._reader.read(size)
            if opcode == _CLOSE or len(data) < size:
                return None
            if opcode == _BINARY:
                return _unmasked(data, mask)
        return None


def _unmasked(data: bytes, mask: bytes) -> bytes:
    key = (mask * (len(data) // 4 + 1))[: len(data)]
    number = int.from_bytes(data, "big") ^ int.from_bytes(key, "big")
    return number.to_bytes(len(data), "big")
