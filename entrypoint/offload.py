# SPDX-License-Identifier: Apache-2.0
"""Literals too large for Flyte's backend to carry: each in a file of its own, by reference.

Flyte's backend turns it on by `_F_L_MIN_SIZE_MB`; beyond `_F_L_MAX_SIZE_MB` (1,000) a literal is
refused. The file is put at a fresh name, so that attempts never meet.
"""

from __future__ import annotations

from .errors import ConversionError, InputsCorruptError, InputsMissingError
from .storage import storage_for
from .wire.protobuf import WireError, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .place import Place
    from .wire.protobuf import Message

MINIMUM, MAXIMUM = "_F_L_MIN_SIZE_MB", "_F_L_MAX_SIZE_MB"
_MEGABYTE = 1 << 20


def fetched(literal: Message) -> Message:
    """The literal that the reference stands for."""
    uri = literal["offloaded_metadata"].get("uri", "")
    try:
        with open(storage_for(uri).fetch(uri), "rb") as file:
            read = decode("Literal", file.read())
    except OSError as error:
        raise InputsMissingError(f"reading {uri}: {error.strerror or error}") from error
    except WireError as error:
        raise InputsCorruptError(f"reading {uri}: {error}") from error
    if "offloaded_metadata" in read:
        raise InputsCorruptError(f"{uri} is no literal, but another reference to one")
    return read


def offloaded(
    literal: Message, literal_type: Message, place: Place, environ: Mapping[str, str]
) -> Message:
    """The literal itself, or if it is large the reference to where it is stored now."""
    try:
        data = encode("Literal", literal)
    except WireError as error:
        raise ConversionError(str(error)) from error
    smallest, largest = (_bytes(environ, *each) for each in ((MINIMUM, 10.0), (MAXIMUM, 1000.0)))
    if len(data) < smallest or place.prefix is None:
        return literal
    if len(data) >= largest:
        raise ConversionError(f"is {len(data)} bytes long; {MAXIMUM} ends at {largest:.0f}")
    uri = place.keep_bytes(data, "literal.pb")
    reference = {"uri": uri, "size_bytes": len(data), "inferred_type": literal_type}
    return {"offloaded_metadata": reference, "hash": literal.get("hash") or _hash(data)}


def _bytes(environ: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(environ.get(name) or default) * _MEGABYTE
    except ValueError:
        raise ConversionError(f"{name} is {environ[name]!r:.40}, which is no number") from None


def _hash(data: bytes) -> str:
    """Equal literals have equal bytes here: fields by number, keys in order."""
    from base64 import b64encode
    from hashlib import sha256

    return b64encode(sha256(data).digest()).decode()
