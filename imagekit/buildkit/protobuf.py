# SPDX-License-Identifier: Apache-2.0
"""Protobuf's encoding of the messages in the table (https://protobuf.dev/programming-guides/encoding).

A message is a dict. Fields that are absent or have their type's zero are not written, and are not
in the dict when read; what the table does not know is skipped.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from imagekit.buildkit.messages import MESSAGES
from imagekit.errors import BuildError
from imagekit.values import frozen

_FIELD = re.compile(r"(\d+) (\w+):(map<string,)?(\w+)>?(\*?)")
_SCALARS = frozenset({"string", "bytes", "bool", "int64", "uint64"})
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_BITS = (1 << 64) - 1
_DEPTH = 32


@frozen
class Field:
    number: int
    name: str
    kind: str
    repeated: bool
    is_map: bool

    @property
    def wire_type(self) -> int:
        return _VARINT if self.kind in ("bool", "int64", "uint64") else _DELIMITED


@functools.cache
def fields_of(message: str) -> Mapping[int, Field]:
    """The fields of a row of the table, by number."""
    found = _FIELD.findall(MESSAGES[message])
    fields = [Field(int(n), name, kind, bool(r), bool(m)) for n, name, m, kind, r in found]
    return {field.number: field for field in fields}


def encode(message: str, value: Mapping[str, Any]) -> bytes:
    """The bytes of a message; a name that the table does not have is a KeyError."""
    by_name = _by_name(message)
    parts: list[bytes] = []
    for name, item in sorted(value.items(), key=lambda pair: by_name[pair[0]].number):
        parts.extend(_encoded(by_name[name], item))
    return b"".join(parts)


def decode(message: str, data: bytes) -> dict[str, Any]:
    """Raises BuildError for bytes that are no such message."""
    try:
        return _decoded(message, memoryview(data), _DEPTH)
    except (IndexError, UnicodeDecodeError) as error:
        raise BuildError(f"the worker's {message} does not read: {error}") from error


@functools.cache
def _by_name(message: str) -> Mapping[str, Field]:
    return {field.name: field for field in fields_of(message).values()}


def _encoded(field: Field, value: Any) -> Iterator[bytes]:
    tag = varint(field.number << 3 | field.wire_type)
    if field.is_map:
        for key in sorted(value):
            entry = b"\x0a" + _delimited(key.encode()) + b"\x12" + _value(field.kind, value[key])
            yield tag + _delimited(entry)
    elif field.repeated:
        for item in value:
            yield tag + _value(field.kind, item)
    elif value or isinstance(value, dict):
        yield tag + _value(field.kind, value)


def _value(kind: str, value: Any) -> bytes:
    if kind == "string":
        return _delimited(value.encode())
    if kind == "bytes":
        return _delimited(value)
    if kind in _SCALARS:
        return varint(int(value) & _BITS)
    return _delimited(encode(kind, value))


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _delimited(data: bytes) -> bytes:
    return varint(len(data)) + data


def _decoded(message: str, data: memoryview, depth: int) -> dict[str, Any]:
    if not depth:
        raise IndexError("nested too deeply")
    fields = fields_of(message)
    result: dict[str, Any] = {}
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        raw, position = _read_raw(data, position, tag & 7)
        field = fields.get(tag >> 3)
        if field is None or field.wire_type != tag & 7:
            continue
        if field.is_map:
            key, value = _entry(field, raw, depth)
            result.setdefault(field.name, {})[key] = value
        elif field.repeated:
            result.setdefault(field.name, []).append(_read(field.kind, raw, depth))
        elif (value := _read(field.kind, raw, depth)) or isinstance(value, dict):
            result[field.name] = value
    return result


def _entry(field: Field, raw: Any, depth: int) -> tuple[str, Any]:
    key, value = "", _read(field.kind, memoryview(b""), depth)
    position = 0
    while position < len(raw):
        tag, position = _read_varint(raw, position)
        part, position = _read_raw(raw, position, tag & 7)
        if tag == 0x0A:
            key = str(part, "utf-8")
        elif tag == 0x12:
            value = _read(field.kind, part, depth)
    return key, value


def _read(kind: str, raw: Any, depth: int) -> Any:
    if kind == "string":
        return str(raw, "utf-8")
    if kind == "bytes":
        return bytes(raw)
    if kind == "bool":
        return bool(raw)
    if kind == "int64":
        return raw - (1 << 64) if raw >> 63 else raw
    return raw if kind == "uint64" else _decoded(kind, raw, depth - 1)


def _read_raw(data: memoryview, position: int, wire_type: int) -> tuple[Any, int]:
    if wire_type == _VARINT:
        return _read_varint(data, position)
    sizes = {_FIXED64: 8, _FIXED32: 4}
    if wire_type == _DELIMITED:
        size, position = _read_varint(data, position)
    elif wire_type in sizes:
        size = sizes[wire_type]
    else:
        raise IndexError(f"wire type {wire_type}")
    end = position + size
    if end > len(data):
        raise IndexError("it ends inside a value")
    return data[position:end], end


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _BITS, position
    raise IndexError("a number is longer than ten bytes")
