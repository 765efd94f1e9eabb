# SPDX-License-Identifier: Apache-2.0
"""The Docker Engine's own HTTP API, as far as builds need it: images in, out and named.

One connection per request; every request waits as long as the engine works.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, final
from urllib.parse import quote, urlencode

from imagekit.buildkit.endpoint import Endpoint
from imagekit.buildkit.question import ask
from imagekit.errors import EngineError

if TYPE_CHECKING:
    import http.client

_TEXT_LIMIT = 1 << 20
_BAD_REQUEST, _NOT_FOUND = 400, 404
_PUSHED = re.compile(r": digest: (sha256:[0-9a-f]{64}) size: \d+$")
_API_VERSION = re.compile(r"\d{1,4}\.\d{1,4}")
_ANSWER_SECONDS = 60.0
"""For what an engine answers without any work."""


@final
class Engine:
    """The engine at `endpoint`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def hijack(
        self,
        path: str,
        headers: Mapping[str, Sequence[str]],
        body: bytes = b"",
        to: str = "h2c",
        *,
        seconds: float = _ANSWER_SECONDS,
    ) -> socket.socket:
        """The raw connection that the engine upgrades a POST to; its owner closes it.

        Raises EngineError where it refuses, or does not answer in `seconds`.
        """
        connection = self.endpoint.connect()
        try:
            connection.settimeout(seconds)
            connection.sendall(_upgrade_request(path, headers, body, to))
            head = _read_head(connection)
            connection.settimeout(None)
        except OSError as error:
            connection.close()
            said = error.strerror or error
            raise EngineError(f"asking the Docker Engine for {path}: {said}") from error
        status = head.split(b"\r\n", 1)[0].split(b" ", 2)
        if len(status) < 2 or status[1] != b"101":
            connection.close()
            said = b" ".join(status[1:]).decode(errors="replace")
            raise EngineError(
                f"the Docker Engine at {self.endpoint.url} has no {path}: {said[:200]}",
                hint="builds need Docker Engine 18.09 or later",
            )
        return connection

    def api_version(self, seconds: float = _ANSWER_SECONDS) -> tuple[int, ...]:
        """The newest API that it has, as in 1.41; what it answers fastest, so ask this first.

        Raises EngineError where it does not answer in `seconds`, or not as an engine does.
        """
        answer = ask(self.endpoint, "/_ping", seconds)
        _refuse_status(answer.status, answer.body)
        said = answer.headers.get("api-version", "")
        if not _API_VERSION.fullmatch(said):
            raise EngineError(
                f"what answers at {self.endpoint.url} is no Docker Engine",
                hint="DOCKER_HOST or `docker context use` name another one",
            )
        return tuple(map(int, said.split(".")))

    def info(self) -> dict[str, Any]:
        return self._json("GET", "/info")

    def find(self, name: str) -> dict[str, Any] | None:
        """What the engine knows of an image, or None where it has none of that name."""
        path = f"/images/{quote(name, safe='/:@')}/json"
        answer = ask(self.endpoint, path, _ANSWER_SECONDS)
        if answer.status == _NOT_FOUND:
            return None
        _refuse_status(answer.status, answer.body)
        return _document(answer.body)

    def tag(self, name: str, repository: str, tag: str) -> None:
        query = urlencode({"repo": repository, "tag": tag})
        self._discard("POST", f"/images/{quote(name, safe='/:@')}/tag?{query}")

    def untag(self, name: str) -> None:
        """Take a name away; an image that has another one stays, and so does its build cache."""
        with self._request("DELETE", f"/images/{quote(name, safe='/:@')}?noprune=1") as response:
            if response.status != _NOT_FOUND:
                _checked(response)

    def load(self, archive: IO[bytes]) -> None:
        """Take the images out of a docker-archive, which is sent as it is read.

        Raises EngineError with the engine's own words.
        """
        headers = {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}
        for message in self._messages("POST", "/images/load?quiet=1", archive, headers):
            _refuse(message, "loading an image into the Docker Engine")

    def save(self, name: str) -> http.client.HTTPResponse:
        """A docker-archive with one image, to be read and closed by the caller."""
        response = self._request("GET", f"/images/{quote(name, safe='/:@')}/get")
        _checked(response)
        return response

    def push(self, repository: str, tag: str, login: Mapping[str, str]) -> str:
        """Send a tagged image to its registry; returns the digest of its manifest.

        Raises EngineError with the registry's or the engine's own words.
        """
        encoded = base64.urlsafe_b64encode(json.dumps(dict(login)).encode()).decode()
        path = f"/images/{quote(repository, safe='/:')}/push?{urlencode({'tag': tag})}"
        digest = ""
        for message in self._messages("POST", path, None, {"X-Registry-Auth": encoded}):
            _refuse(message, f"pushing {repository}:{tag}")
            digest = pushed_digest(message) or digest
        if not digest:
            raise EngineError(f"pushing {repository}:{tag}: the engine named no digest")
        return digest

    def start_exec(self, container: str, command: Sequence[str]) -> socket.socket:
        """Start a program in a running container; the raw connection to it, framed."""
        asked = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
        path = f"/containers/{quote(container, safe='')}/exec"
        created = self._json("POST", path, {**asked, "Cmd": list(command)})
        body = json.dumps({"Detach": False, "Tty": False}).encode()
        return self.hijack(f"/exec/{created['Id']}/start", {}, body, "tcp")

    def _messages(
        self, method: str, path: str, body: IO[bytes] | None, headers: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        with self._request(method, path, body, headers) as response:
            _checked(response)
            for line in response:
                if line.strip():
                    message = json.loads(line)
                    if isinstance(message, dict):
                        yield message

    def _json(self, method: str, path: str, sent: object = None) -> dict[str, Any]:
        body, headers = None, {}
        if sent is not None:
            body = io.BytesIO(json.dumps(sent).encode())
            headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        with self._request(method, path, body, headers) as response:
            _checked(response)
            return _document(response.read())

    def _discard(self, method: str, path: str) -> None:
        with self._request(method, path) as response:
            _checked(response)

    def _request(
        self,
        method: str,
        path: str,
        body: IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        from imagekit.buildkit.engine_http import request  # noqa: PLC0415 - loads a client of HTTP

        return request(self.endpoint, method, path, body, headers or {})


def _checked(response: http.client.HTTPResponse) -> None:
    if response.status >= _BAD_REQUEST:
        _refuse_status(response.status, response.read(_TEXT_LIMIT))


def _refuse_status(status: int, body: bytes) -> None:
    if status < _BAD_REQUEST:
        return
    text = body[:_TEXT_LIMIT].decode(errors="replace")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = json.loads(text)["message"]
    raise EngineError(f"the Docker Engine refuses: {text.strip()[:2000]}")


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise EngineError(f"the Docker Engine's answer is no JSON: {body[:200]!r}") from error
    if not isinstance(found, dict):
        raise EngineError("the Docker Engine's answer is no object")
    return found


def _refuse(message: Mapping[str, Any], doing: str) -> None:
    if "error" in message:
        raise EngineError(f"{doing}: {message['error']}")


def pushed_digest(message: Mapping[str, Any]) -> str:
    """What a message of a push says the manifest's digest is, or nothing.

    Engines with the containerd image store have it in the line for people alone.
    """
    aux = message.get("aux")
    if isinstance(aux, dict) and isinstance(aux.get("Digest"), str):
        return str(aux["Digest"])
    found = _PUSHED.search(str(message.get("status", "")))
    return "" if found is None else found[1]


def _upgrade_request(
    path: str, headers: Mapping[str, Sequence[str]], body: bytes, to: str
) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: docker", "Connection: Upgrade", f"Upgrade: {to}"]
    lines += [f"{name}: {value}" for name, values in headers.items() for value in values]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _read_head(connection: socket.socket) -> bytes:
    """The response's head, and not a byte more: what follows belongs to the new protocol."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte or len(head) > _TEXT_LIMIT:
            break
        head += byte
    return bytes(head)
