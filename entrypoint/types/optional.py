# SPDX-License-Identifier: Apache-2.0
"""Optional[T] and `T | None`: a union of two on the wire, the variant named by its tag."""

from __future__ import annotations

from ..errors import ConversionError
from . import read_literal, transformer_for
from .simple import Nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..place import Place
    from ..wire.protobuf import Message
    from . import Type


class Optional:
    tag = "Typed Union"

    def __init__(self, annotation: Any) -> None:
        others = [variant for variant in annotation.__args__ if variant is not type(None)]
        if len(others) != 1 or len(annotation.__args__) != 2:
            raise ConversionError(f"{annotation} is not supported; of unions only `T | None` is")
        self.nothing = Nothing(None)
        self.inner = transformer_for(others[0])
        self.textual = getattr(self.inner, "textual", False)
        variants = [_tagged(variant) for variant in (self.inner, self.nothing)]
        self.literal_type: Message = {"union_type": {"variants": variants}}

    def to_literal(self, value: Any, place: Place) -> Message:
        variant: Type = self.nothing if value is None else self.inner
        union = {"value": variant.to_literal(value, place), "type": _tagged(variant)}
        return {"scalar": {"union": union}}

    def from_literal(self, literal: Message) -> Any:
        """The value itself, not wrapped in a union, is understood too."""
        union = literal.get("scalar", {}).get("union")
        if union is not None:
            literal = union.get("value", {})
        if "none_type" in literal.get("scalar", {}):
            return None
        return read_literal(self.inner, literal)

    def pack(self, value: Any, place: Place) -> Any:
        return None if value is None else self.inner.pack(value, place)

    def unpack(self, value: Any) -> Any:
        return None if value is None else self.inner.unpack(value)


def _tagged(variant: Type) -> Message:
    return {**variant.literal_type, "structure": {"tag": variant.tag}}
