# SPDX-License-Identifier: Apache-2.0
"""Map tasks: the same task for each element of lists; this process computes one element.

Resolver arguments are `vars a,b resolver NAME ARGUMENTS...`: a and b are bound inputs, which every
process gets whole, and what follows resolves the task of one element.
"""

from __future__ import annotations

from .contract import LEGACY_MAP_RESOLVER, map_index
from .errors import InputsCorruptError, ResolverError, UnsupportedError, UserError
from .inputs import fetched, is_json, json_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from typing import Any

    from .contract import Command
    from .inputs import Given


RESOLVERS = (
    "map",
    "flytekit.core.array_node_map_task.ArrayNodeMapTaskResolver",
    LEGACY_MAP_RESOLVER,
)


class Mapped:
    """What a map task's resolver arguments say."""

    __slots__ = ("arguments", "bound", "resolver")

    def __init__(self, arguments: list[str]) -> None:
        if len(arguments) < 4 or arguments[0] != "vars" or arguments[2] != "resolver":
            raise ResolverError(
                "expected `vars a,b resolver NAME ARGUMENTS...` after --, "
                f"got `{' '.join(arguments):.200}`"
            )
        self.bound = set(filter(None, arguments[1].split(",")))
        self.resolver = arguments[3]
        self.arguments = arguments[4:]


def read_element(command: Command, environ: Mapping[str, str]) -> dict[str, Given]:
    """The inputs of this process's element."""
    resolver = command.options["resolver"]
    if resolver is not None and resolver not in RESOLVERS:
        raise UnsupportedError(f"map-execute knows {', '.join(RESOLVERS)}, not {resolver}")
    index = map_index(environ)
    bound = Mapped(command.arguments).bound
    uri = command.options["inputs"] or ""
    data = fetched(uri)
    if is_json(uri):
        items = json_object(uri, data).items()
        return {name: ("json", _item(name, value, index, bound)) for name, value in items}
    from .wire.lazy import entries
    from .wire.protobuf import WireError, decode

    given: dict[str, Given] = {}
    try:
        for name, literal in entries(data).items():
            mine = literal if name in bound else _element(name, literal, index)
            given[name] = ("literal", decode("Literal", mine))
    except (WireError, UnicodeDecodeError) as error:
        raise InputsCorruptError(f"reading {uri}: {error}") from error
    return given


def _element(name: str, literal: bytes, index: int) -> bytes:
    from .wire.lazy import elements
    from .wire.protobuf import decode

    found = elements(literal)
    if found is None:
        offloaded = decode("Literal", literal).get("offloaded_metadata")
        found = elements(fetched(offloaded.get("uri", ""))) if offloaded else None
    if found is None:
        raise _no_list(name)
    for number, item in enumerate(found):
        if number == index:
            return item
    raise _too_short(name, index)


def _item(name: str, value: Any, index: int, bound: Container[str]) -> Any:
    if name in bound:
        return value
    if not isinstance(value, list):
        raise _no_list(name)
    if index >= len(value):
        raise _too_short(name, index)
    return value[index]


def _no_list(name: str) -> UserError:
    return UserError(f"input {name} is neither a list nor bound", "USER:MapInput")


def _too_short(name: str, index: int) -> UserError:
    return UserError(f"input {name} has no element {index}", "USER:MapIndex")
