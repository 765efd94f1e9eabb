# SPDX-License-Identifier: Apache-2.0
"""Reading what a task was given: inputs.pb, a JSON file, or `name=value` words."""

from __future__ import annotations

from .errors import InputsCorruptError, InputsMissingError, UsageError
from .storage import storage_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from .contract import Command

    # The form ("literal", "json" or "text") and the value in that form.
    Given: TypeAlias = tuple[str, Any]


def read_inputs(command: Command) -> dict[str, Given]:
    uri = command.options["inputs"]
    given: dict[str, Given] = {} if uri is None else read_file(uri)
    if command.verb == "call":
        given.update(read_words(command.arguments[1:]))
    return given


def is_json(uri: str | None) -> bool:
    return uri is not None and uri.lower().endswith(".json")


def read_file(uri: str) -> dict[str, Given]:
    data = fetched(uri)
    if is_json(uri):
        return {name: ("json", value) for name, value in json_object(uri, data).items()}
    from .wire.protobuf import WireError, decode

    try:
        literals = decode("LiteralMap", data).get("literals", {})
    except WireError as error:
        raise InputsCorruptError(f"reading {uri}: {error}") from error
    return {name: ("literal", literal) for name, literal in literals.items()}


def fetched(uri: str) -> bytes:
    try:
        with open(storage_for(uri).fetch(uri), "rb") as file:
            return file.read()
    except OSError as error:
        raise InputsMissingError(f"reading {uri}: {error.strerror or error}") from error


def json_object(uri: str, data: bytes) -> dict[str, Any]:
    from json import loads

    try:
        value = loads(data)
    except (ValueError, RecursionError) as error:
        raise InputsCorruptError(f"reading {uri}: {error}") from error
    if not isinstance(value, dict):
        raise InputsCorruptError(f"reading {uri}: expected a JSON object of inputs by name")
    return value


def read_words(words: list[str]) -> dict[str, Given]:
    given: dict[str, Given] = {}
    for word in words:
        name, separator, text = word.partition("=")
        if not separator:
            raise UsageError(f"{word:.60} is not name=value")
        if name in given:
            raise UsageError(f"{name} is given twice")
        given[name] = ("text", text)
    return given
