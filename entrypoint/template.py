# SPDX-License-Identifier: Apache-2.0
"""Tasks that are run from their TaskTemplate: what they take and give stands in its interface."""

from __future__ import annotations

from types import GenericAlias

from .errors import ConversionError, UserError
from .interface import Interface
from .types import transformer_for
from .types.files import Directory, File
from .wire import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .wire.protobuf import Message

_SIMPLE = {
    messages.NONE: None,
    messages.INTEGER: int,
    messages.FLOAT: float,
    messages.STRING: str,
    messages.BOOLEAN: bool,
    messages.STRUCT: dict,
}


class Template:
    """A TaskTemplate as an executor sees it, unless it is flytekit's own kind.

    `custom` is what the task was made with; its numbers are all floats, as the wire has no others.
    `message` is all of it, by the names of Flyte's fields.
    """

    __slots__ = ("config", "custom", "message", "name", "task_type_version", "type")

    def __init__(self, message: Message) -> None:
        from .wire.plain import struct_value

        self.message = message
        self.name: str = message.get("id", {}).get("name", "")
        self.type: str = message.get("type", "")
        self.task_type_version: int = message.get("task_type_version", 0)
        self.custom: dict[str, Any] = struct_value(message.get("custom", {}))
        self.config: dict[str, str] = dict(message.get("config", {}))


class ShimTask:
    """Called with the inputs by name, like any task."""

    __slots__ = ("executor", "message", "model")

    def __init__(self, executor: type, message: Message, data: bytes) -> None:
        self.executor = executor
        self.message = message
        self.model = _flytekits_model(data) if _is_flytekits(executor) else Template(message)

    def __call__(self, **inputs: Any) -> Any:
        """Several outputs are best returned by name, in a dict or a named tuple."""
        returned = self.executor().execute_from_model(self.model, **inputs)
        names = list(self._variables("outputs"))
        if hasattr(returned, "_asdict"):
            returned = returned._asdict()
        if len(names) > 1 and isinstance(returned, dict) and returned.keys() == set(names):
            return tuple(returned[name] for name in names)
        return returned

    def imagekit_interface(self) -> Interface:
        inputs, outputs = (
            {name: _annotation(name, each) for name, each in self._variables(side).items()}
            for side in ("inputs", "outputs")
        )
        return Interface.of(inputs, outputs)

    def _variables(self, side: str) -> dict[str, Message]:
        """In the order of their names: the wire keeps no other. o9 comes before o10."""
        variables = self.message.get("interface", {}).get(side, {}).get("variables", {})
        return {name: variables[name] for name in sorted(variables, key=_by_number)}


def _by_number(name: str) -> tuple[str, int, str]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or "-1"), name


def _annotation(name: str, variable: Message) -> Any:
    try:
        hint = annotation_of(variable.get("type", {}))
        transformer_for(hint)
    except ConversionError as error:
        raise UserError(f"{name} in the task's template: {error}", "USER:Interface") from error
    return hint


def annotation_of(literal_type: Message) -> Any:
    """The Python type whose values a literal type stands for."""
    if "collection_type" in literal_type:
        return GenericAlias(list, (annotation_of(literal_type["collection_type"]),))
    if "map_value_type" in literal_type:
        return GenericAlias(dict, (str, annotation_of(literal_type["map_value_type"])))
    if "blob" in literal_type:
        is_single = literal_type["blob"].get("dimensionality", 0) == messages.SINGLE
        return File if is_single else Directory
    if "enum_type" in literal_type:
        return str
    if "union_type" in literal_type:
        return _union(literal_type["union_type"].get("variants", []))
    return _simple(literal_type)


def _simple(literal_type: Message) -> Any:
    number = literal_type.get("simple", -1)
    if number in _SIMPLE:
        return _SIMPLE[number]
    if number in (messages.DATETIME, messages.DURATION):
        from datetime import datetime, timedelta

        return datetime if number == messages.DATETIME else timedelta
    raise ConversionError(f"no type is known for {sorted(literal_type)}")


def _union(variants: list[Message]) -> Any:
    from typing import Union

    return Union[tuple(annotation_of(variant) for variant in variants)]  # noqa: UP007


def _is_flytekits(executor: type) -> bool:
    bases = getattr(executor, "__mro__", ())
    return any(base.__module__.partition(".")[0] == "flytekit" for base in bases)


def _flytekits_model(data: bytes) -> Any:
    """What flytekit's own executors were written for."""
    protobuf = __import__("flyteidl.core.tasks_pb2", fromlist=["TaskTemplate"])
    models = __import__("flytekit.models.task", fromlist=["TaskTemplate"])
    return models.TaskTemplate.from_flyte_idl(protobuf.TaskTemplate.FromString(data))
