# SPDX-License-Identifier: Apache-2.0
"""`Annotated[T, HashMethod(function)]`: the literal says what Flyte's cache knows the value by.

flytekit's own HashMethod is understood as well: anything with `calculate`.
"""

from __future__ import annotations

from ..errors import ConversionError
from . import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..place import Place
    from ..wire.protobuf import Message
    from . import Type


class HashMethod:
    """Equal hashes mean equal values: `Annotated[Table, HashMethod(lambda table: table.etag)]`."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[Any], str]) -> None:
        self.function = function

    def calculate(self, value: Any) -> str:
        return self.function(value)


class Hashed:
    """Another type, with a hash beside each of its literals."""

    def __init__(self, inner: Type, method: Any) -> None:
        self.inner = inner
        self.method = method
        self.tag = inner.tag
        self.literal_type = inner.literal_type
        self.textual = getattr(inner, "textual", False)

    def to_literal(self, value: Any, place: Place) -> Message:
        literal = self.inner.to_literal(value, place)
        try:
            digest = self.method.calculate(value)
        except Exception as error:
            name = type(error).__qualname__
            raise ConversionError(f"its hash method raised {name}: {error}") from error
        if not isinstance(digest, str):
            raise ConversionError(f"its hash method returned {describe(digest)}, not str")
        return {**literal, "hash": digest}

    def from_literal(self, literal: Message) -> Any:
        return self.inner.from_literal(literal)

    def pack(self, value: Any, place: Place) -> Any:
        return self.inner.pack(value, place)

    def unpack(self, value: Any) -> Any:
        return self.inner.unpack(value)

    def fits(self, value: Any) -> int:
        return self.inner.fits(value)
