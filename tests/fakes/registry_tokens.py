# SPDX-License-Identifier: Apache-2.0
"""A token server whose tokens a real docker-registry believes: JSON Web Tokens signed by openssl.

They may be gone soon after they were given, and the accounts are a table.
"""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

ISSUER, SERVICE = "test issuer", "test registry"
LEEWAY_SECONDS = 60
"""For so long docker-registry takes a token that is over."""


@dataclass
class TokenServer:
    """Gives what is asked for to each of `users` (name to password) and `identities` (tokens).

    With `lives_seconds` tokens are refused by the registry that long after they were given, while
    clients are told `says_seconds`. Without users and identities everybody may do everything.
    """

    folder: Path
    users: Mapping[str, str] = field(default_factory=dict)
    identities: frozenset[str] = frozenset()
    lives_seconds: int = 600
    says_seconds: int | None = 600
    given: list[tuple[str, ...]] = field(default_factory=list)
    address: str = ""

    @property
    def auth(self) -> Mapping[str, Any]:
        """For the registry's configuration."""
        return {
            "token": {
                "realm": f"http://{self.address}/token",
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": str(self.folder / "token.crt"),
            }
        }

    def token(self, scopes: tuple[str, ...]) -> str:
        now = int(time.time())
        access = [
            {"type": kind, "name": name, "actions": actions.split(",")}
            for kind, name, actions in (scope.split(":") for scope in scopes)
        ]
        certificate = (self.folder / "token.crt").read_text().splitlines()[1:-1]
        head = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(certificate)]}
        claims = {
            "iss": ISSUER,
            "sub": "somebody",
            "aud": SERVICE,
            "nbf": now - 120,
            "iat": now - 120,
            "exp": now + self.lives_seconds - LEEWAY_SECONDS,
            "jti": str(len(self.given)),
            "access": access,
        }
        signed = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claims).encode())}"
        command = ["openssl", "dgst", "-sha256", "-sign", str(self.folder / "token.key")]
        done = subprocess.run(command, input=signed.encode(), capture_output=True, check=True)
        return f"{signed}.{_encoded(done.stdout)}"

    def knows(self, authorization: str, form: Mapping[str, list[str]]) -> bool:
        if not self.users and not self.identities:
            return True
        if form.get("grant_type") == ["refresh_token"]:
            return form["refresh_token"][0] in self.identities
        with contextlib.suppress(ValueError):
            user, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
            return self.users.get(user) == password
        return False


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class _Handler(BaseHTTPRequestHandler):
    server_: TokenServer

    def do_GET(self) -> None:
        self._give(parse_qs(urlsplit(self.path).query), {})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._give({**form, "scope": form.get("scope", [""])[0].split()}, form)

    def _give(self, query: Mapping[str, list[str]], form: Mapping[str, list[str]]) -> None:
        tokens = self.server_
        if not tokens.knows(self.headers.get("Authorization", ""), form):
            self._say(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]})
            return
        scopes = tuple(query.get("scope", []))
        tokens.given.append(scopes)
        answer: dict[str, Any] = {"access_token" if form else "token": tokens.token(scopes)}
        if tokens.says_seconds is not None:
            answer["expires_in"] = tokens.says_seconds
        self._say(200, answer)

    def _say(self, status: int, document: Mapping[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        del format, args


@contextlib.contextmanager
def token_server(folder: Path, **settings: Any) -> Iterator[TokenServer]:
    folder.mkdir(parents=True, exist_ok=True)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=tokens", "-keyout", "token.key", "-out", "token.crt"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    tokens = TokenServer(folder, **settings)
    handler = type("Handler", (_Handler,), {"server_": tokens})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        tokens.address = f"127.0.0.1:{server.server_address[1]}"
        try:
            yield tokens
        finally:
            server.shutdown()
            thread.join()
