# SPDX-License-Identifier: Apache-2.0
"""TypedDict: MessagePack like a dict's, each key by its own type."""

from __future__ import annotations

from ..errors import ConversionError
from ..suggest import suggestion
from . import EXACTLY, NO, describe, kind_of
from .containers import MSGPACK_TYPE, packed_literal
from .records import field_types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar

    from ..place import Place
    from ..wire.protobuf import Message
    from . import Type


class TypedDictionary:
    tag = "Typed Dict"
    literal_type: ClassVar[Message] = MSGPACK_TYPE

    def __init__(self, annotation: Any) -> None:
        self.type = getattr(annotation, "__origin__", annotation)
        self._types: dict[str, Type] | None = None

    @property
    def types(self) -> dict[str, Type]:
        """Found at first use, so that a TypedDict may contain itself."""
        if self._types is None:
            names = sorted(self.type.__required_keys__ | self.type.__optional_keys__)
            self._types = field_types(self.type, names)
        return self._types

    def to_literal(self, value: Any, place: Place) -> Message:
        return packed_literal(self.pack(value, place))

    def from_literal(self, literal: Message) -> Any:
        raise ConversionError(f"expected {self.type.__qualname__}, got {kind_of(literal)}")

    def pack(self, value: Any, place: Place) -> dict[str, Any]:
        return self._each(value, lambda name, item: self.types[name].pack(item, place))

    def unpack(self, value: Any) -> dict[str, Any]:
        return self._each(value, lambda name, item: self.types[name].unpack(item))

    def fits(self, value: Any) -> int:
        if not isinstance(value, dict) or self._wrong_names(value):
            return NO
        return min((self.types[name].fits(item) for name, item in value.items()), default=EXACTLY)

    def _each(self, value: Any, convert: Callable[[str, Any], Any]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ConversionError(f"expected {self.type.__qualname__}, got {describe(value)}")
        wrong = self._wrong_names(value)
        if wrong:
            raise ConversionError(f"{self.type.__qualname__} {wrong}")
        converted = {}
        for name, item in value.items():
            try:
                converted[name] = convert(name, item)
            except ConversionError as error:
                error.inside(f"[{name!r}]")
                raise
        return converted

    def _wrong_names(self, value: dict[Any, Any]) -> str:
        for name in value:
            if name not in self.types:
                return f"has no key {name!r:.60}{suggestion(str(name), self.types)}"
        missing = sorted(name for name in self.type.__required_keys__ if name not in value)
        return f"lacks {', '.join(missing)}" if missing else ""
