# SPDX-License-Identifier: Apache-2.0
"""Enum: its member's value on the wire, which is text, as Flyte's backend has no other."""

from __future__ import annotations

from ..errors import ConversionError
from ..suggest import suggestion
from . import describe, fit, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..place import Place
    from ..wire.protobuf import Message


class Enumeration:
    tag = "DefaultEnumTransformer"
    textual = True

    def __init__(self, annotation: Any) -> None:
        self.type = annotation
        values = [member.value for member in annotation]
        if not all(isinstance(value, str) for value in values):
            raise ConversionError(f"{annotation.__qualname__}: an Enum's values must be str")
        self.literal_type: Message = {"enum_type": {"values": values}}

    def to_literal(self, value: Any, place: Place) -> Message:
        return {"scalar": {"primitive": {"string_value": self.pack(value, place)}}}

    def from_literal(self, literal: Message) -> Any:
        primitive = literal.get("scalar", {}).get("primitive", {})
        if "string_value" not in primitive:
            raise ConversionError(f"expected {self.type.__qualname__}, got {kind_of(literal)}")
        return self.unpack(primitive["string_value"])

    def pack(self, value: Any, place: Place) -> str:
        if not isinstance(value, self.type):
            raise ConversionError(f"expected {self.type.__qualname__}, got {describe(value)}")
        text: str = value.value
        return text

    def unpack(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise ConversionError(f"expected {self.type.__qualname__}, got {describe(value)}")
        try:
            return self.type(value)
        except ValueError:
            hint = suggestion(value, [member.value for member in self.type])
            name = self.type.__qualname__
            raise ConversionError(f"{name} has no value {value!r:.60}{hint}") from None

    def fits(self, value: Any) -> int:
        return fit(value, self.type)
