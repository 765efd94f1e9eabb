# SPDX-License-Identifier: Apache-2.0
"""int, float, str, bool and None."""

from __future__ import annotations

from ..errors import ConversionError
from ..wire import messages
from . import EXACTLY, LOOSELY, NO, describe, fit, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from ..place import Place
    from ..wire.protobuf import Message

_NAMED_FLOATS = ("NaN", "Infinity", "-Infinity")


class Primitive:
    """A Python type that is one field of the Primitive message."""

    tag: str
    field: str
    type: ClassVar[type]
    literal_type: ClassVar[Message]

    def __init__(self, annotation: Any) -> None:
        """The annotation is the type itself."""

    def to_literal(self, value: Any, place: Place) -> Message:
        return {"scalar": {"primitive": {self.field: self.pack(value, place)}}}

    def from_literal(self, literal: Message) -> Any:
        primitive = literal.get("scalar", {}).get("primitive", {})
        if self.field not in primitive:
            raise ConversionError(f"expected {self.tag}, got {kind_of(literal)}")
        return primitive[self.field]

    def pack(self, value: Any, place: Place) -> Any:
        return self.unpack(_plain_scalar(value))

    def unpack(self, value: Any) -> Any:
        raise NotImplementedError

    def fits(self, value: Any) -> int:
        value = _plain_scalar(value)
        return NO if isinstance(value, bool) else fit(value, self.type)


class Integer(Primitive):
    tag = "int"
    field = "integer"
    type = int
    literal_type: ClassVar[Message] = {"simple": messages.INTEGER}

    def from_literal(self, literal: Message) -> Any:
        primitive = literal.get("scalar", {}).get("primitive", {})
        if "float_value" in primitive:
            return self.unpack(primitive["float_value"])
        return super().from_literal(literal)

    def unpack(self, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConversionError(f"expected int, got {_shown(value)}")
        if not -(1 << 63) <= value < 1 << 63:
            raise ConversionError(f"{_clipped(value)} does not fit in 64 bits")
        return int(value)

    def pack(self, value: Any, place: Place) -> int:
        value = _plain_scalar(value)
        if isinstance(value, float):
            raise ConversionError("expected int, got float")
        return self.unpack(value)


class Float(Primitive):
    tag = "float"
    field = "float_value"
    type = float
    literal_type: ClassVar[Message] = {"simple": messages.FLOAT}

    def from_literal(self, literal: Message) -> Any:
        primitive = literal.get("scalar", {}).get("primitive", {})
        if "integer" in primitive:
            return float(primitive["integer"])
        return super().from_literal(literal)

    def unpack(self, value: Any) -> float:
        if isinstance(value, str) and value in _NAMED_FLOATS:
            return float(value)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ConversionError(f"expected float, got {_shown(value)}")
        try:
            return float(value)
        except OverflowError as error:
            raise ConversionError("is too large for a float") from error

    def fits(self, value: Any) -> int:
        """An int is a float too, where no variant is for ints."""
        is_int = isinstance(_plain_scalar(value), int) and not isinstance(value, bool)
        return LOOSELY if is_int else super().fits(value)


class String(Primitive):
    tag = "str"
    field = "string_value"
    type = str
    literal_type: ClassVar[Message] = {"simple": messages.STRING}
    textual = True

    def unpack(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ConversionError(f"expected str, got {describe(value)}")
        if not value.isascii():
            _check_surrogates(value)
        return str(value)


class Boolean(Primitive):
    tag = "bool"
    field = "boolean"
    type = bool
    literal_type: ClassVar[Message] = {"simple": messages.BOOLEAN}

    def unpack(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ConversionError(f"expected bool, got {_shown(value)}")
        return value

    def fits(self, value: Any) -> int:
        return fit(_plain_scalar(value), bool)


class Nothing:
    tag = "none"
    literal_type: ClassVar[Message] = {"simple": messages.NONE}

    def __init__(self, annotation: Any) -> None:
        """The annotation is None, or its type."""

    def to_literal(self, value: Any, place: Place) -> Message:
        self.pack(value, place)
        return {"scalar": {"none_type": {}}}

    def from_literal(self, literal: Message) -> None:
        if "none_type" not in literal.get("scalar", {}):
            raise ConversionError(f"expected None, got {kind_of(literal)}")

    def pack(self, value: Any, place: Place) -> None:
        self.unpack(value)

    def unpack(self, value: Any) -> None:
        if value is not None:
            raise ConversionError(f"expected None, got {describe(value)}")

    def fits(self, value: Any) -> int:
        return EXACTLY if value is None else NO


def _plain_scalar(value: Any) -> Any:
    """NumPy's scalars count as the Python values that they hold."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return value


def _check_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConversionError("holds a lone surrogate, which UTF-8 can't encode") from error


def _shown(value: Any) -> str:
    """A short value's text helps who typed it; a secret or a large one is not for logs."""
    if isinstance(value, str) and len(value) <= 20:
        return f"str {value!r}"
    return f"float {value!r}" if isinstance(value, float) else describe(value)


def _clipped(value: int) -> str:
    return f"{value}" if value.bit_length() < 200 else f"an int of {value.bit_length()} bits"
