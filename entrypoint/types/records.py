# SPDX-License-Identifier: Apache-2.0
"""Dataclasses: MessagePack of their fields, each by its own type; nested ones and files too."""

from __future__ import annotations

import dataclasses

from ..errors import ConversionError
from ..suggest import suggestion
from . import describe, fit, kind_of, transformer_for
from .containers import MSGPACK_TYPE, packed_literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, ClassVar

    from ..place import Place
    from ..wire.protobuf import Message
    from . import Type


def field_types(annotation: Any, names: Iterable[str]) -> dict[str, Type]:
    """Each field's type; of a generic class with the arguments that the annotation gives."""
    kind = getattr(annotation, "__origin__", annotation)
    given = dict(
        zip(getattr(kind, "__parameters__", ()), getattr(annotation, "__args__", ()), strict=False)
    )
    from typing import get_type_hints

    try:
        hints = get_type_hints(kind, include_extras=True)
    except Exception as error:
        raise ConversionError(f"reading the annotations of {kind.__qualname__}: {error}") from error
    types = {}
    for name in names:
        try:
            types[name] = transformer_for(_substituted(hints[name], given))
        except ConversionError as error:
            error.inside(f".{name}")
            raise
    return types


def _substituted(hint: Any, given: dict[Any, Any]) -> Any:
    if hint in given:
        return given[hint]
    parameters = getattr(hint, "__parameters__", ())
    if not given or not parameters or isinstance(hint, type):
        return hint
    return hint[tuple(given.get(each, each) for each in parameters)]


class Record:
    tag = "Object-Dataclass-Transformer"
    literal_type: ClassVar[Message] = MSGPACK_TYPE

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation
        self.type = getattr(annotation, "__origin__", annotation)
        self._types: dict[str, Type] | None = None

    @property
    def types(self) -> dict[str, Type]:
        """Found at first use, so that a dataclass may contain itself."""
        if self._types is None:
            self._types = field_types(
                self.annotation, [each.name for each in dataclasses.fields(self.type)]
            )
        return self._types

    def to_literal(self, value: Any, place: Place) -> Message:
        return packed_literal(self.pack(value, place))

    def from_literal(self, literal: Message) -> Any:
        raise ConversionError(f"expected {self.type.__qualname__}, got {kind_of(literal)}")

    def pack(self, value: Any, place: Place) -> dict[str, Any]:
        if not isinstance(value, self.type):
            raise ConversionError(f"expected {self.type.__qualname__}, got {describe(value)}")
        packed = {}
        for name, item in self.types.items():
            try:
                packed[name] = item.pack(getattr(value, name), place)
            except ConversionError as error:
                error.inside(f".{name}")
                raise
        return packed

    def unpack(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ConversionError(f"expected {self.type.__qualname__}, got {describe(value)}")
        self._check_names(value)
        arguments: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for field in dataclasses.fields(self.type):
            if field.name not in value:
                continue
            try:
                item = self.types[field.name].unpack(value[field.name])
            except ConversionError as error:
                error.inside(f".{field.name}")
                raise
            (arguments if field.init else others)[field.name] = item
        made = self.type(**arguments)
        for name, item in others.items():
            object.__setattr__(made, name, item)
        return made

    def fits(self, value: Any) -> int:
        return fit(value, self.type)

    def _check_names(self, value: dict[Any, Any]) -> None:
        for name in value:
            if name not in self.types:
                hint = suggestion(str(name), self.types)
                raise ConversionError(f"{self.type.__qualname__} has no field {name!r:.60}{hint}")
        missing = [
            field.name
            for field in dataclasses.fields(self.type)
            if field.init
            and field.name not in value
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise ConversionError(f"{self.type.__qualname__} lacks {', '.join(missing)}")
