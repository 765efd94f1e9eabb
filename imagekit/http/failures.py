# SPDX-License-Identifier: Apache-2.0
"""Why there was no answer, or not all of one: in words without credentials."""

from __future__ import annotations

import http.client
import socket
import ssl

from imagekit.urls import without_credentials

CARRIED = (http.client.HTTPException, OSError)
"""What the standard library raises when an exchange breaks off."""

_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_TUNNEL = "Tunnel connection failed: "


class UnansweredError(Exception):
    """There was no answer, or not all of one.

    `lasting` says that another try would change nothing; `untrusted`, that it is the certificate.
    """

    def __init__(
        self,
        reason: str,
        *,
        hint: str | None = None,
        lasting: bool = False,
        untrusted: bool = False,
    ) -> None:
        super().__init__(reason)
        self.hint = hint
        self.lasting = lasting or untrusted
        self.untrusted = untrusted


def not_a_url(url: str) -> UnansweredError:
    try:
        named = without_credentials(url)
    except ValueError:
        named = "an address"
    return UnansweredError(f"{named}: not a URL", lasting=True)


def unanswered(error: Exception, url: str) -> UnansweredError:
    """What an error of CARRIED means for who asked for `url`."""
    where = without_credentials(url)
    if isinstance(error, http.client.InvalidURL):
        return not_a_url(url)
    if isinstance(error, ssl.SSLCertVerificationError):
        return UnansweredError(
            f"{where}: the server's certificate is not trusted: {error.verify_message}",
            hint="REQUESTS_CA_BUNDLE names the CA bundle of a network with its own CA",
            untrusted=True,
        )
    if isinstance(error, ssl.SSLError) and error.reason in _NOT_TLS:
        return UnansweredError(
            f"{where}: the server does not speak TLS",
            hint="plain HTTP is for localhost, or has to be asked for",
            lasting=True,
        )
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
        return UnansweredError(f"{where}: there is no such host", lasting=True)
    if str(error).startswith(_TUNNEL):
        return UnansweredError(f"{where}: the proxy refuses: {str(error).removeprefix(_TUNNEL)}")
    return UnansweredError(f"{where}: {_reason(error)}")


def _reason(error: Exception) -> str:
    # Texts of the client may quote what was sent: the system's own word, or the class, says enough.
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ssl.SSLError):
        return error.strerror
    return type(error).__name__
