# SPDX-License-Identifier: Apache-2.0
"""What a function takes and gives, by its annotations, and the conversion of both."""

from __future__ import annotations

import builtins
import os

from .errors import ConversionError, UserError
from .types import read_literal, transformer_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .inputs import Given
    from .place import Place
    from .types import Type
    from .wire.protobuf import Message

_POSITIONAL_REST, _KEYWORD_REST = 0x04, 0x08


class Interface:
    """Inputs by name, which of them have defaults, and outputs by name.

    `output_kind` tells how outputs are returned: "none", "one" value, or "several" in a tuple.
    """

    __slots__ = ("inputs", "optional", "output_kind", "outputs")

    def __init__(self, function: Any) -> None:
        plain = _plain_function(function)
        annotations = _annotations(plain)
        returned = annotations.pop("return", None)
        names, self.optional = _parameters(plain)
        self.inputs: dict[str, Type] = {}
        for name in names:
            if name not in annotations:
                raise UserError(f"parameter {name} has no type annotation", "USER:Interface")
            self.inputs[name] = _transformer(f"parameter {name}", annotations[name])
        self.output_kind, outputs = _outputs(returned)
        self.outputs = {
            name: _transformer(f"output {name}", hint) for name, hint in outputs.items()
        }

    @classmethod
    def of(cls, inputs: dict[str, Any], outputs: dict[str, Any]) -> Interface:
        """From annotations by name; one output is the value returned, several a tuple."""
        interface = cls.__new__(cls)
        interface.optional = set()
        interface.inputs = {
            name: _transformer(f"parameter {name}", hint) for name, hint in inputs.items()
        }
        interface.outputs = {
            name: _transformer(f"output {name}", hint) for name, hint in outputs.items()
        }
        interface.output_kind = ("none", "one")[len(outputs)] if len(outputs) < 2 else "several"
        return interface

    def read(self, given: dict[str, Given]) -> dict[str, Any]:
        """Python values for the call; parameters that were not given keep their defaults."""
        self._check_names(given)
        values = {}
        for name, (form, value) in given.items():
            try:
                values[name] = _READERS[form](self.inputs[name], value)
            except ConversionError as error:
                error.inside(f"inputs.{name}")
                raise
        return values

    def _check_names(self, given: dict[str, Given]) -> None:
        for name in given:
            if name not in self.inputs:
                from .suggest import suggestion

                hint = suggestion(name, self.inputs)
                raise UserError(f"the task has no input {name!r:.60}{hint}", "USER:UnknownInput")
        missing = [name for name in self.inputs if name not in given and name not in self.optional]
        if missing:
            raise UserError(f"missing inputs: {', '.join(missing)}", "USER:MissingInput")

    def write(self, returned: Any, place: Place) -> Message:
        """The LiteralMap of what the function returned."""
        values = self._named(returned)
        literals = {}
        for name, item in self.outputs.items():
            try:
                literals[name] = _apart(item.to_literal(values[name], place), item, place)
            except ConversionError as error:
                error.inside(f"outputs.{name}")
                raise
            except RecursionError as error:
                problem = ConversionError("is nested too deeply, or contains itself")
                raise problem.inside(f"outputs.{name}") from error
        return {"literals": literals} if literals else {}

    def _named(self, returned: Any) -> dict[str, Any]:
        if self.output_kind == "one":
            return dict.fromkeys(self.outputs, returned)
        if self.output_kind == "none":
            if returned is not None:
                raise ConversionError(
                    f"outputs: the task returned {type(returned).__name__}, "
                    "but its return annotation says None, or is missing"
                )
            return {}
        if not isinstance(returned, tuple) or len(returned) != len(self.outputs):
            got = type(returned).__name__
            if isinstance(returned, tuple):
                got = f"a tuple of {len(returned)}"
            raise ConversionError(f"outputs: expected a tuple of {len(self.outputs)}, got {got}")
        return dict(zip(self.outputs, returned, strict=True))


def _apart(literal: Message, item: Type, place: Place) -> Message:
    """A large literal in a file of its own, where Flyte's backend asks for that."""
    if "_F_L_MIN_SIZE_MB" not in os.environ:
        return literal
    from .offload import offloaded

    return offloaded(literal, item.literal_type, place, os.environ)


def _transformer(what: str, hint: Any) -> Type:
    try:
        return transformer_for(hint)
    except ConversionError as error:
        raise UserError(f"{what}: {error}", "USER:Interface") from error


def _from_json(item: Type, value: Any) -> Any:
    return item.unpack(value)


def _from_text(item: Type, text: str) -> Any:
    """Text is text to a str, a date or a file; to the others it is JSON, if it can be read so."""
    if getattr(item, "textual", False) and not (text == "null" and item.tag == "Typed Union"):
        return item.unpack(text)
    from json import loads

    value: Any = text
    try:
        value = loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except ValueError:
        value = text
    return item.unpack(value)


_READERS: dict[str, Callable[[Type, Any], Any]] = {
    "literal": read_literal,
    "json": _from_json,
    "text": _from_text,
}


def _plain_function(function: Any) -> Any:
    """The function under decorators and task objects, which all name it `__wrapped__`."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    if not hasattr(function, "__code__"):
        raise UserError(f"{function!r:.100} is no Python function", "USER:Interface")
    return function


def _parameters(function: Any) -> tuple[list[str], set[str]]:
    """The parameters' names, and those of them that have defaults."""
    code = function.__code__
    if code.co_flags & (_POSITIONAL_REST | _KEYWORD_REST) or code.co_posonlyargcount:
        raise UserError(
            "a task's parameters are all named: no *args, **kwargs or positional-only ones",
            "USER:Interface",
        )
    positional = list(code.co_varnames[: code.co_argcount])
    keyword = list(code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount])
    defaults = function.__defaults__ or ()
    optional = set(positional[len(positional) - len(defaults) :]) | set(
        function.__kwdefaults__ or ()
    )
    bound = 1 if getattr(function, "__self__", None) is not None else 0
    return positional[bound:] + keyword, optional


def _annotations(function: Any) -> dict[str, Any]:
    """Resolved annotations. Plain classes, the usual case, need no `typing` to be resolved."""
    try:
        raw = dict(function.__annotations__)
        plain = {name: _plain_class(hint, function.__globals__) for name, hint in raw.items()}
        if None not in plain.values():
            return plain
        from typing import get_type_hints

        return get_type_hints(function, include_extras=True)
    except Exception as error:
        raise UserError(f"reading the task's annotations: {error}", "USER:Interface") from error


def _plain_class(hint: Any, names: dict[str, Any]) -> Any:
    if isinstance(hint, str):
        hint = names.get(hint, getattr(builtins, hint, hint))
    if hint is None or hint == "None":
        return type(None)
    is_class = issubclass(type(hint), type) and not hasattr(hint, "__origin__")
    return hint if is_class else None


def _outputs(returned: Any) -> tuple[str, dict[str, Any]]:
    if returned is None or returned is type(None):
        return "none", {}
    if isinstance(returned, type) and issubclass(returned, tuple) and hasattr(returned, "_fields"):
        from typing import get_type_hints

        hints = get_type_hints(returned, include_extras=True)
        fields = returned._fields
        return "several", {name: hints.get(name, type(None)) for name in fields}
    if returned is tuple or getattr(returned, "__origin__", None) is tuple:
        arguments = getattr(returned, "__args__", ())
        if not arguments or Ellipsis in arguments:
            raise UserError(
                "a returned tuple says what each of its items is, as in tuple[int, str]",
                "USER:Interface",
            )
        return "several", {f"o{index}": hint for index, hint in enumerate(arguments)}
    return "one", {"o0": returned}
