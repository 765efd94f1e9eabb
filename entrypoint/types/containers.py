# SPDX-License-Identifier: Apache-2.0
"""list[T], dict[str, T], and dicts whose keys or values have no single type."""

from __future__ import annotations

from ..errors import ConversionError
from ..wire import messages
from . import EXACTLY, NO, describe, kind_of, read_literal, transformer_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..place import Place
    from ..wire.protobuf import Message
    from . import Type

# How Flyte marks a STRUCT whose value is MessagePack.
MSGPACK_TYPE: Message = {
    "simple": messages.STRUCT,
    "annotation": {
        "annotations": {
            "fields": {
                "cache-key-metadata": {
                    "struct_value": {
                        "fields": {"serialization-format": {"string_value": "msgpack"}}
                    }
                }
            }
        }
    },
}


def packed_literal(value: Any) -> Message:
    from ..wire import msgpack
    from ..wire.protobuf import WireError

    try:
        data = msgpack.encode(value)
    except WireError as error:
        raise ConversionError(str(error)) from error
    return {"scalar": {"binary": {"value": data, "tag": "msgpack"}}}


class List:
    tag = "Typed List"

    def __init__(self, annotation: Any) -> None:
        arguments: Any = getattr(annotation, "__args__", ())
        if len(arguments) != 1 or type(arguments[0]).__name__ == "TypeVar":
            raise ConversionError("a bare list is not supported; say of what, as in list[int]")
        self.item = transformer_for(arguments[0])
        self.literal_type: Message = {"collection_type": self.item.literal_type}

    def to_literal(self, value: Any, place: Place) -> Message:
        literals = self._each(value, lambda item: self.item.to_literal(item, place))
        return {"collection": {"literals": literals}}

    def from_literal(self, literal: Message) -> list[Any]:
        if "collection" not in literal:
            raise ConversionError(f"expected a list, got {kind_of(literal)}")
        literals = literal["collection"].get("literals", [])
        return self._each(literals, lambda item: read_literal(self.item, item))

    def pack(self, value: Any, place: Place) -> list[Any]:
        return self._each(value, lambda item: self.item.pack(item, place))

    def unpack(self, value: Any) -> list[Any]:
        return self._each(value, self.item.unpack)

    def fits(self, value: Any) -> int:
        if not isinstance(value, list):
            return NO
        return min(map(self.item.fits, value), default=EXACTLY)

    def _each(self, value: Any, convert: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ConversionError(f"expected a list, got {describe(value)}")
        converted = []
        for index, item in enumerate(value):
            try:
                converted.append(convert(item))
            except ConversionError as error:
                error.inside(f"[{index}]")
                raise
        return converted


class Dictionary:
    """A map on the wire if its keys are text and its values have a type; MessagePack otherwise."""

    tag = "Typed Dict"

    def __init__(self, annotation: Any) -> None:
        arguments: Any = getattr(annotation, "__args__", ())
        typed = len(arguments) == 2 and type(arguments[0]).__name__ != "TypeVar"
        self.key: Type | None = transformer_for(arguments[0]) if typed else None
        self.value: Type | None = transformer_for(arguments[1]) if typed else None
        self.is_map = typed and arguments[0] is str
        self.literal_type: Message = MSGPACK_TYPE
        if self.is_map and self.value is not None:
            self.literal_type = {"map_value_type": self.value.literal_type}

    def to_literal(self, value: Any, place: Place) -> Message:
        item = self.value
        if not self.is_map or item is None:
            return packed_literal(self.pack(value, place))
        literals = self._each(value, lambda each: item.to_literal(each, place), self._key)
        return {"map": {"literals": literals}}

    def from_literal(self, literal: Message) -> dict[Any, Any]:
        item = self.value
        if "map" not in literal or not self.is_map or item is None:
            raise ConversionError(f"expected a dict, got {kind_of(literal)}")
        literals = literal["map"].get("literals", {})
        return self._each(literals, lambda each: read_literal(item, each), self._key)

    def pack(self, value: Any, place: Place) -> dict[Any, Any]:
        item, key = self.value, self.key
        if item is None or key is None:
            return self._each(value, _same, _same)
        return self._each(
            value, lambda each: item.pack(each, place), lambda each: key.pack(each, place)
        )

    def unpack(self, value: Any) -> dict[Any, Any]:
        if self.value is None:
            return self._each(value, _same, _same)
        return self._each(value, self.value.unpack, self._key)

    def fits(self, value: Any) -> int:
        if not isinstance(value, dict):
            return NO
        if self.key is None or self.value is None:
            return EXACTLY
        parts = [*map(self.key.fits, value), *map(self.value.fits, value.values())]
        return min(parts, default=EXACTLY)

    def _key(self, key: Any) -> Any:
        """JSON has text keys only: `{"1": ...}` is read as the dict[int, T] that was meant."""
        if self.key is None or (isinstance(key, str) and self.is_map):
            return key
        if isinstance(key, str) and not getattr(self.key, "textual", False):
            from json import loads

            try:
                key = loads(key)
            except ValueError as error:
                raise ConversionError(f"expected {self.key.tag}, got {key!r:.60}") from error
        return self.key.unpack(key)

    def _each(self, value: Any, convert: Any, convert_key: Any) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise ConversionError(f"expected a dict, got {describe(value)}")
        converted = {}
        for key, item in value.items():
            if self.is_map and not isinstance(key, str):
                raise ConversionError(f"expected a str as key, got {describe(key)}")
            try:
                converted[convert_key(key)] = convert(item)
            except ConversionError as error:
                error.inside(f"[{key!r:.60}]")
                raise
        return converted


def _same(value: Any) -> Any:
    return value
