# SPDX-License-Identifier: Apache-2.0
"""A fake of a model server's HTTP routes (OpenAI's and Ollama's), which lies as it is told to.

It models no server's inside: only what a client sees of one that is sound, starting or broken.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN_ROUTES = (
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/api/generate",
    "/api/embed",
)
_ENDLESS_BYTES = 10**6
_LONG_BYTES = 5 * 1024**2


@dataclass
class Script:
    """What the server does. `lies` is used up, one per request; the last one stays.

    Lies: `honest`, `healthy` (of its routes only health is there yet), `no-model` (an empty list),
    `other-model`, `loading` (listed, and answers 503), `no-route` (listed, and answers 404),
    `no-token` (200 without a token), `half` (half a body), `redirect`, `unauthorized`, `forbidden`,
    `error` (500), `garbage` (200, no JSON), `scalar` (200, JSON of another kind), `endless` (a body
    without end), `hang`, `drip` (a byte at a time, for ever), `reset` (the connection breaks),
    `banner` (another protocol).
    """

    model: str = "org/model"
    lies: list[str] = field(default_factory=lambda: ["honest"])
    routes: tuple[str, ...] = TOKEN_ROUTES
    """The routes on which the model answers; others are 400."""
    key: str | None = None
    pulled: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    """Of manifests by names, as Ollama has them: of its name, unless the model was made."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    """By digest, as Ollama keeps files that were uploaded."""
    pull_lines: list[list[dict[str, Any]]] = field(default_factory=list)
    """The answers to pulls, one per pull; without one it succeeds at once."""
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    port: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def next_lie(self) -> str:
        return self.lies.pop(0) if len(self.lies) > 1 else self.lies[0]

    def asked(self, path: str) -> list[Any]:
        return [data for _, asked, data in self.requests if asked == path]


class _Handler(BaseHTTPRequestHandler):
    script: Script

    def do_GET(self) -> None:
        self._serve(None)

    def do_HEAD(self) -> None:
        self.script.requests.append((self.command, self.path, None))
        self._answer(200 if self.path.rpartition("/")[2] in self.script.blobs else 404, b"")

    def do_DELETE(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/api/blobs/"):
            self._keep(self.path.rpartition("/")[2], body)
        else:
            self._serve(json.loads(body))

    def _keep(self, digest: str, body: bytes) -> None:
        self.script.requests.append((self.command, self.path, None))
        if digest != f"sha256:{hashlib.sha256(body).hexdigest()}":
            self._answer(400, b'{"error": "digest mismatch"}')
            return
        self.script.blobs[digest] = body
        self._answer(201, b"")

    def _serve(self, data: Any) -> None:
        script = self.script
        script.requests.append((self.command, self.path, data))
        lie = script.next_lie()
        if script.key and self.headers.get("Authorization") != f"Bearer {script.key}":
            lie = "unauthorized"
        match lie:
            case "redirect":
                self._answer(307, b"", Location=script.url + self.path)
            case "unauthorized" | "forbidden" | "error" | "healthy" if self.path != "/health":
                status = {"unauthorized": 401, "forbidden": 403, "error": 500, "healthy": 404}[lie]
                self._answer(status, b'{"error": "of this liar"}')
            case "garbage":
                self._answer(200, b"<html>nearly there</html>")
            case "scalar":
                self._answer(200, b"[1]")
            case "endless":
                self._answer(200, b"x" * _LONG_BYTES)
            case "banner":
                self.wfile.write(b"SSH-2.0-model\r\n")
                self.close_connection = True
            case "reset":
                self.connection.shutdown(socket.SHUT_RDWR)
            case "hang":
                script.stopping.wait()
            case _:
                self._model(lie, data)

    def _model(self, lie: str, data: Any) -> None:
        if self.path == "/api/pull":
            self._pull(data)
        elif self.path == "/api/create":
            self._create(data)
        elif self.path == "/api/chat":
            said = {"role": "assistant", "content": f"You said: {data['messages'][-1]['content']}"}
            self._body(lie, {"model": data["model"], "message": said, "done": True})
        elif self.path == "/api/copy":
            self._copy(data["source"], data["destination"])
        elif self.path == "/api/delete":
            self.script.pulled.remove(data["model"])
            self._answer(200, b"")
        elif self.path in ("/v1/models", "/api/tags"):
            self._body(lie, self._listing(lie))
        elif self.path in TOKEN_ROUTES:
            self._token(lie)
        else:
            self._answer(200 if self.path == "/health" else 404, b"")

    def _listing(self, lie: str) -> Any:
        names = {"no-model": [], "other-model": ["org/other"]}.get(lie, [self.script.model])
        if self.path == "/api/tags":
            digests = self.script.digests
            models = self.script.pulled or names
            return {
                "models": [{"name": each, "digest": digests.get(each, each)} for each in models]
            }
        return {"object": "list", "data": [{"id": name} for name in names]}

    def _token(self, lie: str) -> None:
        if lie == "no-route":
            self._answer(404, b'{"error": "not found"}')
        elif self.path not in self.script.routes:
            self._answer(400, b'{"error": "this model does not do that"}')
        elif lie == "loading":
            self._answer(503, b'{"error": "loading"}')
        elif lie == "no-token":
            self._answer(200, b"{}")
        else:
            token = {"done": True, "choices": [{"text": "!"}], "data": [{"embedding": [0.5]}]}
            self._body(lie, {**token, "embeddings": [[0.5]]})

    def _create(self, data: Any) -> None:
        """Of a model that is there or of files that were uploaded; of nothing else."""
        script = self.script
        named = [*data.get("files", {}).values(), *data.get("adapters", {}).values()]
        if not data.get("from") and not data.get("files"):
            self._answer(400, b"{\"error\": \"neither 'from' or 'files' was specified\"}")
        elif missing := [digest for digest in named if digest not in script.blobs]:
            self._answer(400, json.dumps({"error": f"no blob {missing[0]}"}).encode())
        else:
            self._keep_model(data["model"], hashlib.sha256(json.dumps(data).encode()).hexdigest())
            self._lines([{"status": "writing manifest"}, {"status": "success"}])

    def _copy(self, source: str, destination: str) -> None:
        self._keep_model(destination, self.script.digests.get(source, source))
        self._answer(200, b"")

    def _keep_model(self, name: str, digest: str) -> None:
        self.script.digests[name] = digest
        if name not in self.script.pulled:
            self.script.pulled.append(name)

    def _pull(self, data: Any) -> None:
        script = self.script
        lines = script.pull_lines.pop(0) if script.pull_lines else [{"status": "success"}]
        if lines and lines[-1].get("status") == "success":
            script.pulled.append(data["model"])
        self._lines(lines)

    def _lines(self, lines: list[dict[str, Any]]) -> None:
        self._answer(200, b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def _body(self, lie: str, document: Any) -> None:
        body = json.dumps(document).encode()
        if lie == "half":
            self._answer(200, body[: len(body) // 2], length=len(body))
        elif lie == "drip":
            self._answer(200, b"", length=_ENDLESS_BYTES)
            with contextlib.suppress(OSError):
                while not self.script.stopping.wait(0.05):
                    self.wfile.write(b" ")
        else:
            self._answer(200, body)

    def _answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        del format, args


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(script: Script) -> Iterator[Script]:
    """Serve on loopback, on the script's port or a free one, until the block ends."""
    handler = type("Handler", (_Handler,), {"script": script})
    with ThreadingHTTPServer(("127.0.0.1", script.port), handler) as server:
        script.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield script
        finally:
            script.stopping.set()
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def dying(script: Script, after_requests: int) -> Iterator[Script]:
    """Serve until so many requests have come, then listen no more, as a crashed server does."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(serving(script))
        gone = stack.pop_all()

        def watch() -> None:
            while len(script.requests) < after_requests and not script.stopping.wait(0.01):
                pass
            time.sleep(0.05)
            gone.close()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield script
        finally:
            script.stopping.set()
            thread.join()
