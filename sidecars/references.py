# SPDX-License-Identifier: Apache-2.0
"""`{{.inputs.NAME}}`: a task's input in what its server is told.

Where a path is wanted, it is the path at which a step puts that file or folder. Elsewhere it stands
for the value, and is carried in a form that no template engine of a cluster would touch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .errors import OptionError

FOLDER = "/task-inputs"
FILE = "inputs.json"
_REFERENCE = re.compile(r"\{\{\s*\.inputs\.([A-Za-z_]\w*)\s*\}\}")
_PARTS, _INPUT = "$parts", "$input"


def has_reference(value: Any) -> bool:
    if isinstance(value, str):
        return _REFERENCE.search(value) is not None
    if isinstance(value, Mapping):
        return any(map(has_reference, value.values()))
    return isinstance(value, list | tuple) and any(map(has_reference, value))


def as_path(text: str) -> str:
    """With each reference replaced by where that input will be."""
    return _REFERENCE.sub(lambda found: f"{FOLDER}/{found[1]}", text)


def encoded(value: Any) -> Any:
    """The value with its references taken apart, as `resolved` reads it."""
    if isinstance(value, Mapping):
        return {key: encoded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(each) for each in value]
    if not isinstance(value, str) or not has_reference(value):
        return value
    parts = _REFERENCE.split(value)
    members = [{_INPUT: part} if place % 2 else part for place, part in enumerate(parts)]
    return {_PARTS: [each for each in members if each != ""]}


def has_encoded(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) == {_PARTS} or any(map(has_encoded, value.values()))
    return isinstance(value, list) and any(map(has_encoded, value))


def resolved(value: Any, inputs: Mapping[str, Any]) -> Any:
    """With the inputs in the places of their references; one that is all of a text keeps its type.

    Raises OptionError where there is no such input.
    """
    if isinstance(value, list):
        return [resolved(each, inputs) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {_PARTS}:
        return {key: resolved(each, inputs) for key, each in value.items()}
    parts = [_input(each, inputs) if isinstance(each, dict) else each for each in value[_PARTS]]
    return parts[0] if len(parts) == 1 else "".join(map(_text, parts))


def _input(part: Mapping[str, str], inputs: Mapping[str, Any]) -> Any:
    name = part[_INPUT]
    if name not in inputs:
        there = ", ".join(sorted(inputs)) or "none"
        raise OptionError([f"the task has no input {name!r}; there are: {there}"])
    value = inputs[name]
    is_file = isinstance(value, dict) and set(value) == {"path"}
    return value["path"] if is_file else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise OptionError([f"an input that is {type(value).__name__} can't be a part of a text"])
