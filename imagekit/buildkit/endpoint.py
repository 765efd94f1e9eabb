# SPDX-License-Identifier: Apache-2.0
"""Where the user's Docker Engine listens, as the docker program finds it.

In this order: `DOCKER_HOST`, `DOCKER_CONTEXT`, `currentContext` of the Docker configuration, the
default socket.
"""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from imagekit.errors import EngineError
from imagekit.values import frozen

_DEFAULT_HOST = "unix:///var/run/docker.sock"
_TLS_PORT = 2376
_CONNECT_SECONDS = 15.0


@frozen
class Certificates:
    """PEM files; a missing authority means the machine's own, a missing pair no client's proof."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verify: bool = True

    @classmethod
    def from_folder(cls, folder: Path, *, verify: bool = True) -> Certificates:
        """Those that are in a folder under the names that Docker gives them."""
        found = [folder / name for name in ("ca.pem", "cert.pem", "key.pem")]
        present = [path if path.is_file() else None for path in found]
        return cls(present[0], present[1], present[2], verify)

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@frozen
class Endpoint:
    """A socket to connect to: `unix:///PATH` or `tcp://HOST:PORT`, with certificates or without."""

    url: str
    certificates: Certificates | None = None

    def connect(self) -> socket.socket:
        """A new connection, whose owner closes it.

        Raises EngineError when nobody answers.
        """
        try:
            return self._connect()
        except (OSError, ssl.SSLError) as error:
            raise EngineError(
                f"connecting to the Docker Engine at {self.url}: {error.strerror or error}",
                hint="is it running? DOCKER_HOST or `docker context use` name another one",
            ) from error

    def _connect(self) -> socket.socket:
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            return _connected_unix(parts.path)
        if parts.scheme not in ("tcp", "http", "https") or not parts.hostname:
            raise EngineError(
                f"can't connect to a Docker Engine at {self.url}",
                hint="unix:// and tcp:// can be used; forward an ssh:// one to a socket first",
            )
        address = (parts.hostname, parts.port or _TLS_PORT)
        connection = socket.create_connection(address, _CONNECT_SECONDS)
        if self.certificates is not None:
            context = self.certificates.context()
            connection = context.wrap_socket(connection, server_hostname=parts.hostname)
        connection.settimeout(None)
        return connection


def _connected_unix(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(_CONNECT_SECONDS)
        connection.connect(path)
        connection.settimeout(None)
    except BaseException:
        connection.close()
        raise
    return connection


def find_endpoint(environ: Mapping[str, str], home: Path | None = None) -> Endpoint:
    """The engine that the docker program would use.

    Raises EngineError for a context that is not there or does not read.
    """
    folder = Path(environ.get("DOCKER_CONFIG") or (home or Path.home()) / ".docker")
    host = environ.get("DOCKER_HOST", "")
    if host:
        return Endpoint(host, _certificates(environ, folder) if host.startswith("tcp") else None)
    name = environ.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext")
    if not name or name == "default":
        return Endpoint(_DEFAULT_HOST)
    return _from_context(str(name), folder / "contexts")


def _certificates(environ: Mapping[str, str], folder: Path) -> Certificates | None:
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not (verify or environ.get("DOCKER_TLS")):
        return None
    return Certificates.from_folder(Path(environ.get("DOCKER_CERT_PATH") or folder), verify=verify)


def _from_context(name: str, contexts: Path) -> Endpoint:
    identifier = hashlib.sha256(name.encode()).hexdigest()
    docker = _read(contexts / "meta" / identifier / "meta.json").get("Endpoints", {}).get("docker")
    if not isinstance(docker, dict) or not isinstance(docker.get("Host"), str):
        raise EngineError(
            f"there is no Docker context {name!r}", hint="`docker context ls` lists them"
        )
    tls = contexts / "tls" / identifier / "docker"
    secured = tls.is_dir() or bool(docker.get("SkipTLSVerify"))
    verify = not docker.get("SkipTLSVerify")
    return Endpoint(
        docker["Host"], Certificates.from_folder(tls, verify=verify) if secured else None
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise EngineError(f"reading {path}: {error}") from error
    return found if isinstance(found, dict) else {}
