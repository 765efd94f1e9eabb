# SPDX-License-Identifier: Apache-2.0
"""An authority, a server's and a client's certificate, made by openssl for one test."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from imagekit.buildkit.endpoint import Certificates


@dataclass(frozen=True, slots=True)
class Authority:
    folder: Path

    @classmethod
    def new(cls, folder: Path) -> Authority:
        folder.mkdir()
        made = cls(folder)
        made._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key"),
            *("-out", "ca.pem"),
        )
        return made

    def issue(self, name: str) -> Certificates:
        """A certificate for localhost, signed by the authority, which comes with it."""
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr"),
        )
        (self.folder / "names").write_text("subjectAltName=DNS:localhost")
        self._openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.pem"),
        )
        folder = self.folder
        return Certificates(folder / "ca.pem", folder / f"{name}.pem", folder / f"{name}.key")

    def server(self) -> ssl.SSLContext:
        """For a server that asks its callers for a certificate of this authority."""
        issued = self.issue("server")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=issued.authority)
        context.load_cert_chain(str(issued.certificate), issued.key)
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["h2"])
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, check=True)
