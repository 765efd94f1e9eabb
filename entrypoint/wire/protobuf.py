# SPDX-License-Identifier: Apache-2.0
"""Protobuf's encoding of the messages in the table (https://protobuf.dev/programming-guides/encoding).

Byte-compatible with the flyteidl package in both directions: fields by number, map entries by key,
unknown fields kept (as bytes, under the key `UNKNOWN`) and written last. Whatever the input,
decoding gives a message or raises `WireError`; it is never deeper than `DEPTH_LIMIT`. (Where one
key begins another, protobuf's Python package sorts the longer first; here it is plain order.)
"""

from __future__ import annotations

from .messages import DELIMITED, FIXED32, FIXED64, VARINT, Field, Layout, layout_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Message: TypeAlias = dict[str, Any]

UNKNOWN = "$unknown"
DEPTH_LIMIT = 100  # below the outermost message; protobuf's own default
SIZE_LIMIT = 0x7FFFFFFF
_RANGES = {
    "int64": (-(1 << 63), 1 << 63),
    "uint64": (0, 1 << 64),
    "int32": (-(1 << 31), 1 << 31),
    "enum": (-(1 << 31), 1 << 31),
    "uint32": (0, 1 << 32),
    "bool": (0, 2),
}
_START_GROUP, _END_GROUP = 3, 4
_FLOATS = {"double": ("<d", 8), "float": ("<f", 4)}
_MAP_KEY_TAG, _MAP_VALUE_NUMBER = b"\x0a", 2


class WireError(ValueError):
    """The bytes are no such message, or the message has no such bytes."""


def decode(message: str, data: bytes) -> Message:
    result: Message = {}
    _read_message(layout_of(message), data, (0, len(data)), result, DEPTH_LIMIT + 1)
    return result


def encode(message: str, value: Message) -> bytes:
    data = _message_bytes(layout_of(message), value, DEPTH_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise WireError(f"{message} is {len(data)} bytes long; protobuf ends at {SIZE_LIMIT}")
    return data


def _read_message(
    layout: Layout, data: bytes, span: tuple[int, int], into: Message, depth: int
) -> None:
    if depth <= 0:
        raise WireError(f"message is nested deeper than {DEPTH_LIMIT} levels")
    position, end = span
    unknown = bytearray()
    while position < end:
        start = position
        tag, position = _read_tag(data, position, end)
        field = layout.by_number.get(tag >> 3)
        after = None
        if field is not None and field.wire_type == tag & 7:
            after = _read_field(field, layout, data, (position, end), into, depth)
        if after is None:
            after = _skip(data, position, end, tag, depth)
            unknown += data[start:after]
        position = after
    if unknown:
        into[UNKNOWN] = into.get(UNKNOWN, b"") + bytes(unknown)


def _read_field(
    field: Field,
    layout: Layout,
    data: bytes,
    span: tuple[int, int],
    into: Message,
    depth: int,
) -> int | None:
    """Read one field's value into the message; return the position after it.

    None, and nothing read, if it is a map's entry with more in it than the table knows.
    """
    position, end = span
    if field.oneof:
        for sibling in layout.oneofs[field.oneof]:
            if sibling != field.name:
                into.pop(sibling, None)
    if field.wire_type != DELIMITED:
        value, position = _read_number(field, data, position, end)
        _keep(field, value, into)
        return position
    start, position = _read_span(data, position, end)
    if field.is_map:
        entry = _read_entry(field, data, (start, position), depth - 1)
        if entry is None:
            return None
        into.setdefault(field.name, {})[entry[0]] = entry[1]
    elif field.repeated:
        value = _read_delimited(field, data, (start, position), {}, depth)
        into.setdefault(field.name, []).append(value)
    elif field.is_message:
        # A message that comes in several pieces is their merger.
        _read_delimited(field, data, (start, position), into.setdefault(field.name, {}), depth)
    else:
        _keep(field, _read_delimited(field, data, (start, position), {}, depth), into)
    return position


def _keep(field: Field, value: Any, into: Message) -> None:
    """A scalar outside a oneof has no presence: its default is the same as its absence."""
    if value or field.oneof:
        into[field.name] = value
    else:
        into.pop(field.name, None)


def _read_entry(
    field: Field, data: bytes, span: tuple[int, int], depth: int
) -> tuple[str, Any] | None:
    if depth <= 0:
        raise WireError(f"message is nested deeper than {DEPTH_LIMIT} levels")
    position, end = span
    key, is_known = "", True
    value: Any = {} if field.is_message else ""
    while position < end:
        tag, position = _read_tag(data, position, end)
        if tag & 7 != DELIMITED or tag >> 3 not in (1, _MAP_VALUE_NUMBER):
            position = _skip(data, position, end, tag, depth)
            is_known = False
            continue
        start, position = _read_span(data, position, end)
        if tag >> 3 == 1:
            key = _text(data, start, position)
        elif field.is_message:
            _read_delimited(field, data, (start, position), value, depth)
        else:
            value = _read_delimited(field, data, (start, position), {}, depth)
    return (key, value) if is_known else None


def _read_delimited(
    field: Field, data: bytes, span: tuple[int, int], into: Message, depth: int
) -> Any:
    if field.is_message:
        _read_message(layout_of(field.kind), data, span, into, depth - 1)
        return into
    return data[span[0] : span[1]] if field.kind == "bytes" else _text(data, *span)


def _read_number(field: Field, data: bytes, position: int, end: int) -> tuple[Any, int]:
    if field.kind in _FLOATS:
        form, size = _FLOATS[field.kind]
        if end - position < size:
            raise WireError("message ends inside a number")
        from struct import unpack_from

        return unpack_from(form, data, position)[0], position + size
    number, position = _read_varint(data, position, end)
    if field.kind == "bool":
        return number != 0, position
    if field.kind == "uint64":
        return number, position
    bits = 64 if field.kind == "int64" else 32
    number &= (1 << bits) - 1
    if field.kind == "uint32":
        return number, position
    return (number - (1 << bits) if number >> (bits - 1) else number), position


def _read_tag(data: bytes, position: int, end: int) -> tuple[int, int]:
    tag, position = _read_varint(data, position, end, 5)
    if tag >> 32 or tag < 8:
        raise WireError("invalid field number")
    return tag, position


def _read_varint(data: bytes, position: int, end: int, size: int = 10) -> tuple[int, int]:
    """A number of at most `size` bytes; bits beyond the 64th are dropped, as protobuf does."""
    value = 0
    for shift in range(0, 7 * size, 7):
        if position >= end:
            raise WireError("message ends inside a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise WireError(f"a number is longer than {size} bytes")


def _read_span(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Where a delimited value starts and ends."""
    length, start = _read_varint(data, position, end, 5)
    if length > end - start:
        raise WireError(f"message ends inside a value of {length} bytes")
    return start, start + length


def _text(data: bytes, start: int, end: int) -> str:
    try:
        return data[start:end].decode()
    except UnicodeDecodeError as error:
        raise WireError("a string is not valid UTF-8") from error


def _skip(data: bytes, position: int, end: int, tag: int, depth: int) -> int:
    """The position after the value of a field that the table does not know."""
    wire_type = tag & 7
    if wire_type == VARINT:
        return _read_varint(data, position, end)[1]
    if wire_type == DELIMITED:
        return _read_span(data, position, end)[1]
    if wire_type == _START_GROUP:
        return _skip_group(data, position, end, tag >> 3, depth - 1)
    size = {FIXED64: 8, FIXED32: 4}.get(wire_type)
    if size is None or size > end - position:
        raise WireError("invalid or truncated field")
    return position + size


def _skip_group(data: bytes, position: int, end: int, number: int, depth: int) -> int:
    if depth <= 0:
        raise WireError(f"message is nested deeper than {DEPTH_LIMIT} levels")
    while True:
        tag, position = _read_tag(data, position, end)
        if tag & 7 == _END_GROUP:
            if tag >> 3 != number:
                raise WireError("group ends that never began")
            return position
        position = _skip(data, position, end, tag, depth)


def _message_bytes(layout: Layout, message: Message, depth: int) -> bytes:
    if depth <= 0:
        raise WireError(f"message is nested deeper than {DEPTH_LIMIT} levels")
    chunks: list[bytes] = []
    seen = 0
    for field in layout.in_order:
        if field.name in message:
            seen += 1
            chunks.append(_field_bytes(field, message[field.name], depth))
    if UNKNOWN in message:
        seen += 1
        chunks.append(message[UNKNOWN])
    if seen != len(message):
        raise WireError(f"unknown fields among {sorted(message)}")
    for members in layout.oneofs.values():
        if sum(member in message for member in members) > 1:
            raise WireError(f"more than one of {members} is set")
    return b"".join(chunks)


def _field_bytes(field: Field, value: Any, depth: int) -> bytes:
    tag = _varint(field.number << 3 | field.wire_type)
    if field.is_map:
        return b"".join(
            tag + _delimited(_entry_bytes(field, key, value[key], depth - 1))
            for key in sorted(value)
        )
    if field.repeated:
        return b"".join(tag + _value_bytes(field, item, depth) for item in value)
    if not (value or field.oneof or field.is_message):
        return b""
    return tag + _value_bytes(field, value, depth)


def _entry_bytes(field: Field, key: str, value: Any, depth: int) -> bytes:
    value_tag = _varint(_MAP_VALUE_NUMBER << 3 | DELIMITED)
    return _MAP_KEY_TAG + _delimited(_utf8(key)) + value_tag + _value_bytes(field, value, depth)


def _value_bytes(field: Field, value: Any, depth: int) -> bytes:
    if field.is_message:
        return _delimited(_message_bytes(layout_of(field.kind), value, depth - 1))
    if field.kind == "string":
        return _delimited(_utf8(value))
    if field.kind == "bytes":
        return _delimited(value)
    if field.kind in _FLOATS:
        return _float_bytes(_FLOATS[field.kind][0], value)
    return _varint(_unsigned(field.kind, int(value)))


def _float_bytes(form: str, value: float) -> bytes:
    from struct import pack

    try:
        return pack(form, value)
    except OverflowError as error:
        raise WireError(f"{value} is outside the range of float") from error


def _unsigned(kind: str, value: int) -> int:
    """Two's complement in 64 bits, whatever the kind: a negative number takes ten bytes."""
    low, high = _RANGES[kind]
    if not low <= value < high:
        raise WireError(f"{value} is outside the range of {kind}")
    return value & 0xFFFFFFFFFFFFFFFF


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _delimited(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise WireError("a string holds a lone surrogate, which UTF-8 can't encode") from error
