# SPDX-License-Identifier: Apache-2.0
"""One element of a LiteralMap's lists, without decoding the others.

A map task's process gets the inputs of all its siblings. Their bytes are stepped over; only what
this one computes with is made into messages.
"""

from __future__ import annotations

from .messages import DELIMITED
from .protobuf import _read_span, _read_tag, _skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DEPTH = 100
_LITERALS, _KEY, _VALUE, _COLLECTION = 1, 1, 2, 2


def entries(literal_map: bytes) -> dict[str, bytes]:
    """The encoded literals of an encoded LiteralMap."""
    found = {}
    for entry in _values(literal_map, _LITERALS):
        keys = list(_values(entry, _KEY))
        found[keys[-1].decode() if keys else ""] = b"".join(_values(entry, _VALUE))
    return found


def elements(literal: bytes) -> Iterator[bytes] | None:
    """The encoded elements of an encoded literal; None if it is no list."""
    collections = list(_values(literal, _COLLECTION))
    return _values(b"".join(collections), _LITERALS) if collections else None


def _values(data: bytes, wanted: int) -> Iterator[bytes]:
    """The values of one delimited field; the others are stepped over."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _read_tag(data, position, end)
        if tag >> 3 == wanted and tag & 7 == DELIMITED:
            start, position = _read_span(data, position, end)
            yield data[start:position]
        else:
            position = _skip(data, position, end, tag, _DEPTH)
