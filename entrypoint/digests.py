# SPDX-License-Identifier: Apache-2.0
"""Digests of what runs as code: bundles and pickles."""

from __future__ import annotations

from .errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def check(chunks: Iterable[bytes], expected: str, what: str) -> None:
    """Raises BundleError unless the content has the digest `sha256:...`."""
    from hashlib import sha256
    from re import fullmatch

    if not fullmatch("sha256:[0-9a-f]{64}", expected):
        raise BundleError(f"a digest is sha256: and 64 hexadecimal digits, not {expected:.80}")
    computed = sha256()
    for chunk in chunks:
        computed.update(chunk)
    if f"sha256:{computed.hexdigest()}" != expected:
        raise BundleError(f"{what} has the digest sha256:{computed.hexdigest()}, not {expected}")
