# SPDX-License-Identifier: Apache-2.0
"""MessagePack, for dataclasses and untyped dicts.

By https://github.com/msgpack/msgpack/blob/master/spec.md. Encodes None, bool, int, float, str,
bytes, list, tuple and dict, each in its shortest form, floats as 64 bits: the bytes that the
`msgpack` package makes. Decodes everything but extension types.
"""

from __future__ import annotations

from struct import pack, unpack_from

from .protobuf import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEPTH_LIMIT = 200


def encode(value: Any) -> bytes:
    chunks: list[bytes] = []
    _write(value, chunks, DEPTH_LIMIT)
    return b"".join(chunks)


def decode(data: bytes) -> Any:
    value, end = _read(data, 0, DEPTH_LIMIT)
    if end != len(data):
        raise WireError(f"{len(data) - end} bytes follow the MessagePack value")
    return value


def _write(value: Any, chunks: list[bytes], depth: int) -> None:
    if depth <= 0:
        raise WireError(f"value is nested deeper than {DEPTH_LIMIT} levels")
    if value is None:
        chunks.append(b"\xc0")
    elif isinstance(value, bool):
        chunks.append(b"\xc3" if value else b"\xc2")
    elif isinstance(value, int):
        chunks.append(_integer(value))
    elif isinstance(value, float):
        chunks.append(pack(">Bd", 0xCB, value))
    else:
        _write_sized(value, chunks, depth)


def _write_sized(value: Any, chunks: list[bytes], depth: int) -> None:
    if isinstance(value, str):
        data = _utf8(value)
        chunks += (_header(len(data), (0xA0, 32), (0xD9, 0xDA, 0xDB)), data)
    elif isinstance(value, bytes | bytearray):
        chunks += (_header(len(value), (0, 0), (0xC4, 0xC5, 0xC6)), bytes(value))
    elif isinstance(value, list | tuple):
        chunks.append(_header(len(value), (0x90, 16), (None, 0xDC, 0xDD)))
        for item in value:
            _write(item, chunks, depth - 1)
    elif isinstance(value, dict):
        chunks.append(_header(len(value), (0x80, 16), (None, 0xDE, 0xDF)))
        for key, item in value.items():
            _write(key, chunks, depth - 1)
            _write(item, chunks, depth - 1)
    else:
        raise WireError(f"MessagePack has no form for {type(value).__name__}")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise WireError("a string holds a lone surrogate, which UTF-8 can't encode") from error


def _integer(value: int) -> bytes:
    if -32 <= value < 128:
        return pack(">b", value)
    forms = (
        ((0xCC, "B", 8), (0xCD, "H", 16), (0xCE, "I", 32), (0xCF, "Q", 64))
        if value >= 0
        else ((0xD0, "b", 7), (0xD1, "h", 15), (0xD2, "i", 31), (0xD3, "q", 63))
    )
    for marker, form, bits in forms:
        if -(1 << bits) <= value < 1 << bits:
            return pack(">B" + form, marker, value)
    raise WireError(f"{value} is outside the range of MessagePack's integers")


def _header(length: int, short: tuple[int, int], long: tuple[int | None, int, int]) -> bytes:
    """A length in its shortest form: in the marker (`short`: base, limit), or 8, 16 or 32 bits."""
    base, limit = short
    if length < limit:
        return bytes((base + length,))
    for marker, form, bits in zip(long, "BHI", (8, 16, 32), strict=True):
        if marker is not None and length < 1 << bits:
            return pack(">B" + form, marker, length)
    raise WireError(f"a value of {length} items is too long for MessagePack")


# marker -> (struct form of the number, or of the length; what it is)
_NUMBERS = {
    0xCA: "f", 0xCB: "d", 0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q",
    0xD0: "b", 0xD1: "h", 0xD2: "i", 0xD3: "q",
}  # fmt: skip
_SIZED = {
    0xC4: ("B", "bytes"), 0xC5: ("H", "bytes"), 0xC6: ("I", "bytes"),
    0xD9: ("B", "str"), 0xDA: ("H", "str"), 0xDB: ("I", "str"),
    0xDC: ("H", "list"), 0xDD: ("I", "list"), 0xDE: ("H", "dict"), 0xDF: ("I", "dict"),
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_SIZES = {"B": 1, "b": 1, "H": 2, "h": 2, "I": 4, "i": 4, "f": 4, "Q": 8, "q": 8, "d": 8}


def _read(data: bytes, position: int, depth: int) -> tuple[Any, int]:
    if depth <= 0:
        raise WireError(f"value is nested deeper than {DEPTH_LIMIT} levels")
    if position >= len(data):
        raise WireError("MessagePack value is cut short")
    marker = data[position]
    position += 1
    if marker < 0x80:
        return marker, position
    if marker >= 0xE0:
        return marker - 0x100, position
    if marker < 0xC0:
        return _read_short(data, position, marker, depth)
    if marker in _CONSTANTS:
        return _CONSTANTS[marker], position
    if marker in _NUMBERS:
        return _unpack(_NUMBERS[marker], data, position)
    if marker in _SIZED:
        form, kind = _SIZED[marker]
        length, position = _unpack(form, data, position)
        return _read_sized(kind, data, position, length, depth)
    raise WireError(f"MessagePack type {marker:#x} is not supported")


def _read_short(data: bytes, position: int, marker: int, depth: int) -> tuple[Any, int]:
    if marker < 0x90:
        return _read_sized("dict", data, position, marker & 0x0F, depth)
    if marker < 0xA0:
        return _read_sized("list", data, position, marker & 0x0F, depth)
    return _read_sized("str", data, position, marker & 0x1F, depth)


def _unpack(form: str, data: bytes, position: int) -> tuple[Any, int]:
    end = position + _SIZES[form]
    if end > len(data):
        raise WireError("MessagePack value is cut short")
    return unpack_from(">" + form, data, position)[0], end


def _read_sized(kind: str, data: bytes, position: int, length: int, depth: int) -> tuple[Any, int]:
    # Each item is at least one byte, so that a lying length never costs memory.
    if length > len(data) - position:
        raise WireError("MessagePack value is cut short")
    if kind == "list":
        return _read_list(data, position, length, depth)
    if kind == "dict":
        return _read_dict(data, position, length, depth)
    raw = data[position : position + length]
    try:
        return (raw.decode() if kind == "str" else raw), position + length
    except UnicodeDecodeError as error:
        raise WireError("a string is not valid UTF-8") from error


def _read_list(data: bytes, position: int, length: int, depth: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(length):
        item, position = _read(data, position, depth - 1)
        items.append(item)
    return items, position


def _read_dict(data: bytes, position: int, length: int, depth: int) -> tuple[dict[Any, Any], int]:
    items = {}
    for _ in range(length):
        key, position = _read(data, position, depth - 1)
        if isinstance(key, list | dict):
            raise WireError(f"a MessagePack key can't be a {type(key).__name__}")
        items[key], position = _read(data, position, depth - 1)
    return items, position
