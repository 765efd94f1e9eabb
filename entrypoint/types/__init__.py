# SPDX-License-Identifier: Apache-2.0
"""Python values to Flyte's literals and back, by their type annotation.

To add a type: one file with a class that has the members of `Type`, and one line in the table. A
class is named by its module and its own name, so that no type's module is imported to find it.
"""

from __future__ import annotations

from ..errors import ConversionError
from ..wire.protobuf import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ..place import Place
    from ..wire.protobuf import Message

    class Transformer(Protocol):
        """Made for one annotation; both directions raise ConversionError."""

        @property
        def tag(self) -> str:
            """Names the type among the variants of a union on the wire; never to be changed."""

        @property
        def literal_type(self) -> Message: ...

        def to_literal(self, value: Any, place: Place) -> Message: ...

        def from_literal(self, literal: Message) -> Any: ...

    class Packing(Protocol):
        """The untyped form: inside dataclasses and untyped dicts, and in JSON for people."""

        def pack(self, value: Any, place: Place) -> Any:
            """The value in terms of None, bool, int, float, str, list and dict."""

        def unpack(self, value: Any) -> Any: ...

    class Type(Transformer, Packing, Protocol):
        """What every built-in type has."""


TRANSFORMERS = {
    "builtins.NoneType": "simple:Nothing",
    "builtins.bool": "simple:Boolean",
    "builtins.dict": "containers:Dictionary",
    "builtins.float": "simple:Float",
    "builtins.int": "simple:Integer",
    "builtins.list": "containers:List",
    "builtins.str": "simple:String",
    "datetime.datetime": "times:Moment",
    "datetime.timedelta": "times:Span",
    "types.UnionType": "optional:Optional",
    "typing.Union": "optional:Optional",
    f"{__name__}.files.Directory": "files:DirectoryType",
    f"{__name__}.files.File": "files:FileType",
}
_DATACLASS = "records:Record"


def transformer_for(annotation: Any) -> Type:
    annotation = _bare(annotation)
    name = _name(annotation)
    target = TRANSFORMERS.get(name)
    if target is None and hasattr(annotation, "__dataclass_fields__"):
        target = _DATACLASS
    if target is None:
        supported = sorted(name.rpartition(".")[2] for name in TRANSFORMERS)
        shown = name if isinstance(annotation, type) else f"{annotation!r:.100}"
        raise ConversionError(
            f"type {shown} is not supported (supported: {', '.join(supported)}, dataclasses)"
        )
    module, _, attribute = target.partition(":")
    leaf = __import__(f"{__name__}.{module}", fromlist=[attribute])
    made: Type = getattr(leaf, attribute)(annotation)
    return made


def _bare(annotation: Any) -> Any:
    """Without Annotated, NewType and `type X = ...` around it."""
    while True:
        if hasattr(annotation, "__metadata__"):
            annotation = annotation.__origin__
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


def _name(annotation: Any) -> str:
    if annotation is None:
        return "builtins.NoneType"
    kind = getattr(annotation, "__origin__", None)
    if kind is None:
        kind = annotation if isinstance(annotation, type) else type(annotation)
    return f"{kind.__module__}.{getattr(kind, '__qualname__', kind)}"


def read_literal(transformer: Type, literal: Message) -> Any:
    """The Python value of a literal; untyped ones are unpacked on the way."""
    scalar = literal.get("scalar", {})
    if "offloaded_metadata" in literal:
        raise ConversionError("offloaded literals are not supported yet")
    try:
        if "binary" in scalar:
            return transformer.unpack(_unpacked(scalar["binary"]))
        if "generic" in scalar:
            from ..wire.plain import struct_value

            return transformer.unpack(struct_value(scalar["generic"]))
        return transformer.from_literal(literal)
    except WireError as error:
        raise ConversionError(str(error)) from error


def _unpacked(binary: Message) -> Any:
    if binary.get("tag") != "msgpack":
        raise ConversionError(f"expected a msgpack value, got one tagged {binary.get('tag')!r}")
    from ..wire import msgpack

    return msgpack.decode(binary.get("value", b""))


def describe(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def kind_of(literal: Message) -> str:
    """What a literal is, for an error's text."""
    scalar = literal.get("scalar")
    if scalar is None:
        return next(iter(literal), "nothing")
    kinds = scalar.get("primitive", scalar)
    return next(iter(kinds), "nothing").removesuffix("_value").removesuffix("_type")
