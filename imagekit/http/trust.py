# SPDX-License-Identifier: Apache-2.0
"""Which certificates are trusted: a given bundle, the environment's, the system's, or certifi's."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from imagekit.http.failures import UnansweredError

BUNDLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
"""Variables that name a file or folder of CAs."""


def tls_context(environ: Mapping[str, str], authorities: Path | None = None) -> ssl.SSLContext:
    """Trusts `authorities`, a file or folder of CAs, or else those of the first of BUNDLES that is
    set, or else the system's.

    Raises UnansweredError where they can't be read.
    """
    named = next(filter(None, map(environ.get, BUNDLES)), "")
    given = str(authorities or named) or _without_system()
    try:
        if given is not None and Path(given).is_dir():
            context = ssl.create_default_context(capath=given)
        else:
            context = ssl.create_default_context(cafile=given)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnansweredError(f"certificates: {given}: {reason}", lasting=True) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _without_system() -> str | None:
    """A bundle for systems that have none; None elsewhere, for OpenSSL's own places."""
    system = ssl.get_default_verify_paths()
    if system.cafile or system.capath:
        return None
    import certifi  # noqa: PLC0415 - most systems have CAs

    return certifi.where()
