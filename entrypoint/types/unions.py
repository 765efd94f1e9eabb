# SPDX-License-Identifier: Apache-2.0
"""Union[A, B], `A | B` and Optional[T]: the value's literal, and the variant named by its tag.

Which variant a value is, is decided before anything is converted (`Type.fits`): the first that fits
exactly, else the first that fits loosely. So nothing is stored twice.
"""

from __future__ import annotations

from ..errors import ConversionError
from . import EXACTLY, NO, describe, read_literal, transformer_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..place import Place
    from ..wire.protobuf import Message
    from . import Type

_VARIANT = "imagekit-variant"


class Union:
    tag = "Typed Union"

    def __init__(self, annotation: Any) -> None:
        self._annotations = annotation.__args__
        self._types: list[Type] = [transformer_for(each) for each in annotation.__args__]
        self.textual = all(
            getattr(each, "textual", False) for each in self._types if each.tag != "none"
        )
        self.literal_type: Message = {
            "union_type": {"variants": [_tagged(each) for each in self._types]}
        }

    def to_literal(self, value: Any, place: Place) -> Message:
        variant = self._variant(value)
        union = {"value": variant.to_literal(value, place), "type": _tagged(variant)}
        literal: Message = {"scalar": {"union": union}}
        if len(self._named(union["type"])) > 1:
            literal["metadata"] = {_VARIANT: str(self._annotations[self._types.index(variant)])}
        return literal

    def from_literal(self, literal: Message) -> Any:
        """The value itself, not wrapped in a union, is understood too."""
        union = literal.get("scalar", {}).get("union")
        if union is None:
            primitive = literal.get("scalar", {}).get("primitive", {})
            candidates = sorted(
                self._types, key=lambda each: getattr(each, "field", "") not in primitive
            )
            return _first(candidates, lambda each: read_literal(each, literal))
        inner = union.get("value", {})
        candidates = self._noted(literal) or self._named(union.get("type", {})) or self._types
        return _first(candidates, lambda each: read_literal(each, inner))

    def pack(self, value: Any, place: Place) -> Any:
        return self._variant(value).pack(value, place)

    def unpack(self, value: Any) -> Any:
        """Text may stand for many types: the first that reads it. Others say what they are."""
        if not isinstance(value, str):
            for variant in self._types:
                if isinstance(value, bool | int | float) and variant.fits(value) == EXACTLY:
                    return variant.unpack(value)
        return _first(self._types, lambda each: each.unpack(value))

    def fits(self, value: Any) -> int:
        return max(each.fits(value) for each in self._types)

    def _variant(self, value: Any) -> Type:
        best = max(self._types, key=lambda each: each.fits(value))
        if best.fits(value) == NO:
            # The only one that is no None tells best what is wrong with the value.
            others = [each for each in self._types if each.tag != "none"]
            if len(others) == 1:
                return others[0]
            names = " | ".join(map(_shown, self._annotations))
            raise ConversionError(f"expected {names:.200}, got {describe(value)}")
        return best

    def _noted(self, literal: Message) -> list[Type]:
        """The one variant that we noted where Flyte's own form can't tell it from another."""
        name = literal.get("metadata", {}).get(_VARIANT)
        pairs = zip(self._annotations, self._types, strict=True)
        return [each for annotation, each in pairs if str(annotation) == name]

    def _named(self, literal_type: Message) -> list[Type]:
        """The variants that a literal's type may mean: by tag, then by the type itself."""
        tag = literal_type.get("structure", {}).get("tag")
        tagged = [each for each in self._types if each.tag == tag]
        core = _core(literal_type)
        return [each for each in tagged if _core(each.literal_type) == core] or tagged


def _first(variants: list[Type], convert: Callable[[Type], Any]) -> Any:
    problems = []
    for variant in variants:
        try:
            return convert(variant)
        except ConversionError as error:
            if variant.tag != "none" or len(variants) == 1:
                problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    raise ConversionError("fits no variant: " + "; ".join(map(str, problems)))


def _core(literal_type: Any) -> Any:
    """What tells types apart, without what describes them."""
    if isinstance(literal_type, list):
        return [_core(each) for each in literal_type]
    if not isinstance(literal_type, dict):
        return literal_type
    described = ("metadata", "structure", "annotation")
    return {key: _core(item) for key, item in literal_type.items() if key not in described}


def _tagged(variant: Type) -> Message:
    return {**variant.literal_type, "structure": {"tag": variant.tag}}


def _shown(annotation: Any) -> str:
    plain = isinstance(annotation, type) and not hasattr(annotation, "__args__")
    return annotation.__qualname__ if plain else str(annotation)
