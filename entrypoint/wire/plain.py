# SPDX-License-Identifier: Apache-2.0
"""The JSON form for people, made from a literal alone: `{"o0": 5}`, not its protobuf spelling.

Dates are ISO 8601 strings, durations numbers of seconds, files and directories `{"path": URI}`,
bytes base64, and floats that JSON has no number for are "NaN", "Infinity", "-Infinity". The types
read the same forms back (`Transformer.unpack`).
"""

from __future__ import annotations

from .protobuf import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .protobuf import Message


def plain_map(literal_map: Message) -> dict[str, Any]:
    return {name: plain(item) for name, item in literal_map.get("literals", {}).items()}


def plain(literal: Message) -> Any:
    """The value that a literal stands for."""
    if "collection" in literal:
        return [plain(item) for item in literal["collection"].get("literals", [])]
    if "map" in literal:
        return plain_map(literal["map"])
    for kind, value in literal.get("scalar", {}).items():
        if kind == "blob":
            digest = literal.get("metadata", {}).get("sha256")
            return {"path": value.get("uri", "")} | ({"sha256": digest} if digest else {})
        if kind in _SCALARS:
            return _SCALARS[kind](value)
    raise WireError(f"a literal of {sorted(literal.get('scalar', literal))} has no JSON form")


def _binary(binary: Message) -> Any:
    from . import msgpack

    return jsonable(msgpack.decode(binary.get("value", b"")))


def struct_value(struct: Message) -> dict[str, Any]:
    """A google.protobuf.Struct as the dict that it stands for; its numbers are all floats."""
    return {name: _value(value) for name, value in struct.get("fields", {}).items()}


def _value(value: Message) -> Any:
    if "struct_value" in value:
        return struct_value(value["struct_value"])
    if "list_value" in value:
        return [_value(item) for item in value["list_value"].get("values", [])]
    for kind in ("number_value", "string_value", "bool_value"):
        if kind in value:
            return value[kind]
    return None


def _primitive(primitive: Message) -> Any:
    if "datetime" in primitive or "duration" in primitive:
        from . import times

        if "datetime" in primitive:
            return times.datetime_of(primitive["datetime"]).isoformat()
        return times.timedelta_of(primitive["duration"]).total_seconds()
    return jsonable(next(iter(primitive.values()), None))


def jsonable(value: Any) -> Any:
    """The same value with whatever JSON can't say written as text."""
    if isinstance(value, float):
        return _FLOAT_NAMES.get(repr(value), value)
    if isinstance(value, bytes):
        from binascii import b2a_base64

        return b2a_base64(value, newline=False).decode()
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    return value


_FLOAT_NAMES = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_SCALARS: dict[str, Callable[[Message], Any]] = {
    "primitive": _primitive,
    "union": lambda union: plain(union.get("value", {})),
    "none_type": lambda _: None,
    "binary": _binary,
    "generic": lambda struct: jsonable(struct_value(struct)),
}
