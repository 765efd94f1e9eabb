# SPDX-License-Identifier: Apache-2.0
"""A real docker-registry on a free port of loopback, with certificates and accounts if wanted."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What crypt(3) makes of the password.
USER, PASSWORD = "builder", "correct horse"
HTPASSWD = "builder:$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n"
_EXTENSIONS = """
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, digitalSignature
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1, DNS:localhost, DNS:registry.test
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True)
class Server:
    address: str
    log: Path
    folder: Path


@dataclass(frozen=True)
class Certificates:
    """Of a CA of our own: its certificate, and one for loopback with its key."""

    ca: Path
    certificate: Path
    key: Path
    ca_key: Path


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def make_certificates(folder: Path) -> Certificates:
    folder.mkdir(parents=True, exist_ok=True)
    found = Certificates(
        *(folder / name for name in ("ca.crt", "server.crt", "server.key", "ca.key"))
    )
    for name in ("ca", "server"):
        (folder / f"{name}.cnf").write_text(_EXTENSIONS.format(name=f"test {name}"))
        _openssl(
            folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key"
        )
        _openssl(folder, "req", "-new", "-config", f"{name}.cnf", "-key", f"{name}.key",
                 "-out", f"{name}.csr")  # fmt: skip
    signed = ("x509", "-req", "-days", "2", "-extfile", "ca.cnf", "-in")
    _openssl(folder, *signed, "ca.csr", "-extensions", "ca", "-signkey", "ca.key", "-out", "ca.crt")
    _openssl(folder, *signed, "server.csr", "-extensions", "leaf", "-CA", "ca.crt", "-CAkey",
             "ca.key", "-CAcreateserial", "-out", "server.crt")  # fmt: skip
    return found


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


@contextlib.contextmanager
def registry(
    folder: Path,
    *,
    auth: Mapping[str, Any] | None = None,
    tls: Certificates | None = None,
    client_ca: Path | None = None,
) -> Iterator[Server]:
    """Run one with its data in `folder`; `auth` is what its configuration has under that name."""
    folder.mkdir(parents=True, exist_ok=True)
    address = free_address()
    http: dict[str, Any] = {"addr": address, "secret": "only for tests"}
    if tls is not None:
        http["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
        if client_ca is not None:
            http["tls"]["clientcas"] = [str(client_ca)]
    configuration = {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": http,
        **({} if auth is None else {"auth": auth}),
    }
    (folder / "config.yml").write_text(json.dumps(configuration))
    log = folder / "registry.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={"OTEL_TRACES_EXPORTER": "none"},
        )
    try:
        _wait(address, process, log)
        yield Server(address, log, folder / "data")
    finally:
        process.terminate()
        process.wait(10)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    host, _, port = address.partition(":")
    for _ in range(500):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.02)
    raise AssertionError(log.read_text())


def htpasswd(folder: Path) -> Mapping[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(HTPASSWD)
    return {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
