# SPDX-License-Identifier: Apache-2.0
"""Iterator[T] and Generator[T, ...]: a list on the wire, read one item at a time."""

from __future__ import annotations

from ..errors import ConversionError, EntrypointError, UserError
from . import EXACTLY, NO, describe, kind_of, read_literal, transformer_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ..place import Place
    from ..wire.protobuf import Message


class Iteration:
    tag = "Typed Iterator"

    def __init__(self, annotation: Any) -> None:
        arguments: Any = getattr(annotation, "__args__", ())
        if not arguments or type(arguments[0]).__name__ == "TypeVar":
            raise ConversionError("a bare iterator is not supported; say of what: Iterator[int]")
        self.item = transformer_for(arguments[0])
        self.literal_type: Message = {"collection_type": self.item.literal_type}

    def to_literal(self, value: Any, place: Place) -> Message:
        literals = self._all(value, lambda item: self.item.to_literal(item, place))
        return {"collection": {"literals": literals}}

    def from_literal(self, literal: Message) -> Iterator[Any]:
        if "collection" not in literal:
            raise ConversionError(f"expected a list, got {kind_of(literal)}")
        literals = literal["collection"].get("literals", [])
        return _converted(literals, lambda item: read_literal(self.item, item))

    def pack(self, value: Any, place: Place) -> list[Any]:
        return self._all(value, lambda item: self.item.pack(item, place))

    def unpack(self, value: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            raise ConversionError(f"expected a list, got {describe(value)}")
        return _converted(value, self.item.unpack)

    def fits(self, value: Any) -> int:
        return EXACTLY if hasattr(value, "__next__") else NO

    def _all(self, value: Any, convert: Callable[[Any], Any]) -> list[Any]:
        """A returned generator is the user's code that still has to run."""
        if isinstance(value, str | bytes | dict) or not hasattr(value, "__iter__"):
            raise ConversionError(f"expected an iterator, got {describe(value)}")
        return list(_converted(_guarded(value), convert))


def _converted(items: Any, convert: Callable[[Any], Any]) -> Iterator[Any]:
    for index, item in enumerate(items):
        try:
            converted = convert(item)
        except ConversionError as error:
            error.inside(f"[{index}]")
            raise
        yield converted


def _guarded(items: Any) -> Iterator[Any]:
    try:
        yield from items
    except EntrypointError:
        raise
    except Exception as error:
        name = type(error).__qualname__
        raise UserError(f"the iterator raised {name}: {error}", f"USER:{name}") from error
