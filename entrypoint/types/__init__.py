# SPDX-License-Identifier: Apache-2.0
"""Python values to Flyte's literals and back, by their type annotation.

To add a type: one file with a class that has the members of `Type`, and one line in a table. A
class is named by its module and its own name, so that no type's module is imported to find it;
families of classes are known by an attribute (`SHAPES`), wishes in `Annotated[T, wish]` by their
class (`MARKERS`).
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

        def fits(self, value: Any) -> int:
            """NO, LOOSELY or EXACTLY: which variant of a union a value is, before any is tried."""


NO, LOOSELY, EXACTLY = range(3)

TRANSFORMERS = {
    "builtins.NoneType": "simple:Nothing",
    "builtins.bool": "simple:Boolean",
    "builtins.bytes": "pickles:Bytes",
    "builtins.dict": "containers:Dictionary",
    "builtins.float": "simple:Float",
    "builtins.int": "simple:Integer",
    "builtins.list": "containers:List",
    "builtins.str": "simple:String",
    "collections.abc.Generator": "iterators:Iteration",
    "collections.abc.Iterator": "iterators:Iteration",
    "datetime.date": "times:Day",
    "datetime.datetime": "times:Moment",
    "datetime.timedelta": "times:Span",
    "os.PathLike": "files:FileType",
    "pathlib.Path": "paths:PathType",
    "types.UnionType": "unions:Union",
    "typing.Literal": "choices:Choice",
    "typing.Union": "unions:Union",
    f"{__name__}.files.Directory": "files:DirectoryType",
    f"{__name__}.files.File": "files:FileType",
}
SHAPES = {
    "__required_keys__": "typed_dicts:TypedDictionary",
    "__members__": "enums:Enumeration",
    "__dataclass_fields__": "records:Record",
}
MARKERS = {f"{__name__}.pickles.Pickle": "pickles:Pickled"}
_HASHED = "hashes:Hashed"
_REFUSED = {
    "builtins.tuple": "a tuple is not supported as a value; use list[T] or a dataclass",
}
_QUALIFIERS = ("Required", "NotRequired", "ReadOnly")


def transformer_for(annotation: Any) -> Type:
    annotation, extras = _bare(annotation)
    wishes = [MARKERS[name] for name in map(_name, extras) if name in MARKERS]
    made: Type = _load(wishes[0] if wishes else _target(annotation))(annotation)
    for extra in extras:
        if hasattr(extra, "calculate"):
            made = _load(_HASHED)(made, extra)
    return made


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(__import__(f"{__name__}.{module}", fromlist=[attribute]), attribute)


def _target(annotation: Any) -> str:
    name = _name(annotation)
    if name in TRANSFORMERS:
        return TRANSFORMERS[name]
    # A generic class with its arguments, as in Pair[int], has the shape of the class.
    shaped = (annotation, getattr(annotation, "__origin__", None))
    for attribute, target in SHAPES.items():
        if any(hasattr(each, attribute) for each in shaped):
            return target
    if name in _REFUSED:
        raise ConversionError(_REFUSED[name])
    supported = sorted({name.rpartition(".")[2] for name in TRANSFORMERS})
    shown = name if isinstance(annotation, type) else f"{annotation!r:.100}"
    raise ConversionError(
        f"type {shown} is not supported (supported: {', '.join(supported)}, Enum, TypedDict, "
        "dataclasses; Annotated[T, Pickle] asks for a pickle)"
    )


def _bare(annotation: Any) -> tuple[Any, list[Any]]:
    """Without Annotated, NewType, `type X = ...` and the like; and what Annotated added."""
    extras: list[Any] = []
    while True:
        if hasattr(annotation, "__metadata__"):
            extras += annotation.__metadata__
            annotation = annotation.__origin__
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        elif getattr(getattr(annotation, "__origin__", None), "_name", None) in _QUALIFIERS:
            annotation = annotation.__args__[0]
        else:
            return annotation, extras


def _name(annotation: Any) -> str:
    if annotation is None:
        return "builtins.NoneType"
    kind = getattr(annotation, "__origin__", None)
    if kind is None:
        kind = annotation if isinstance(annotation, type) else type(annotation)
    # Where Python 3.13 defines it.
    module = kind.__module__.replace("pathlib._local", "pathlib")
    return f"{module}.{getattr(kind, '__qualname__', kind)}"


def read_literal(transformer: Type, literal: Message) -> Any:
    """The Python value of a literal; untyped ones are unpacked on the way."""
    if "offloaded_metadata" in literal:
        from ..offload import fetched

        literal = fetched(literal)
    scalar = literal.get("scalar", {})
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


def fit(value: Any, kind: type) -> int:
    if type(value) is kind:
        return EXACTLY
    return LOOSELY if isinstance(value, kind) else NO


def describe(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def kind_of(literal: Message) -> str:
    """What a literal is, for an error's text."""
    scalar = literal.get("scalar")
    if scalar is None:
        return next(iter(literal), "nothing")
    kinds = scalar.get("primitive", scalar)
    return next(iter(kinds), "nothing").removesuffix("_value").removesuffix("_type")
