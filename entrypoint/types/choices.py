# SPDX-License-Identifier: Apache-2.0
"""Literal["a", "b"]: one of a few values of one type."""

from __future__ import annotations

from ..errors import ConversionError
from . import EXACTLY, NO, describe, transformer_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..place import Place
    from ..wire.protobuf import Message
    from . import Type

_FIELDS = {str: "string_value", int: "number_value", bool: "bool_value"}


class Choice:
    tag = "LiteralTypeTransformer"

    def __init__(self, annotation: Any) -> None:
        self.values = annotation.__args__
        kinds = {type(value) for value in self.values}
        if len(kinds) != 1 or not kinds <= set(_FIELDS):
            raise ConversionError(
                f"{annotation}: the values of a Literal must be all str, all int or all bool"
            )
        self.base: Type = transformer_for(type(self.values[0]))
        self.textual = getattr(self.base, "textual", False)
        # As Flyte's backend keeps it; numbers are floats there.
        values = [{_FIELDS[type(value)]: value} for value in self.values]
        listed = {"fields": {"literal_values": {"list_value": {"values": values}}}}
        self.literal_type: Message = {
            **self.base.literal_type,
            "annotation": {"annotations": listed},
        }

    def to_literal(self, value: Any, place: Place) -> Message:
        self._check(value)
        return self.base.to_literal(value, place)

    def from_literal(self, literal: Message) -> Any:
        return self._check(self.base.from_literal(literal))

    def pack(self, value: Any, place: Place) -> Any:
        return self.base.pack(self._check(value), place)

    def unpack(self, value: Any) -> Any:
        return self._check(self.base.unpack(value))

    def fits(self, value: Any) -> int:
        known = any(value == each and type(value) is type(each) for each in self.values)
        return EXACTLY if known else NO

    def _check(self, value: Any) -> Any:
        if self.fits(value) == NO:
            allowed = ", ".join(map(repr, self.values))
            got = f"{value!r:.60}" if isinstance(value, str | int) else describe(value)
            raise ConversionError(f"expected one of {allowed:.200}, got {got}")
        return value
