# SPDX-License-Identifier: Apache-2.0
"""A Modelfile's text as the fields that Ollama's servers take now: they read no such text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import OptionError

_QUOTES = '"""'
_PLACES = ("/", ".", "~", "{{")
_FILES = (".gguf", ".safetensors")
_ROLES = ("system", "user", "assistant")


def translate(text: str, *, has_files: bool = False) -> dict[str, Any]:
    """The fields of `POST /api/create`, with `files` and `adapters` as lists of paths.

    Without a FROM only if the model has files of its own. Raises OptionError with every problem and
    its line.
    """
    fields: dict[str, Any] = {}
    problems = []
    for line, word, value in _instructions(text):
        problem = _apply(fields, word, value)
        if problem:
            problems.append(f"Modelfile line {line}: {problem}")
    if not has_files and not {"from", "files"} & set(fields) and not problems:
        problems.append("Modelfile: it has no FROM")
    if problems:
        raise OptionError(problems)
    return fields


def _apply(fields: dict[str, Any], word: str, value: str) -> str | None:
    """Take one instruction in; returns what is wrong with it."""
    if not value:
        return f"{word} has no value"
    problem = None
    match word:
        case "FROM" if value.startswith(_PLACES) or value.endswith(_FILES):
            problem = _file(fields, "files", word, value)
        case "ADAPTER":
            problem = _file(fields, "adapters", word, value)
        case "FROM" | "TEMPLATE" | "SYSTEM":
            fields[word.lower()] = value
        case "LICENSE":
            fields.setdefault("license", []).append(value)
        case "PARAMETER":
            problem = _parameter(fields, value)
        case "MESSAGE":
            problem = _message(fields, value)
        case _:
            problem = f"no instruction {word!r}"
    return problem


def _file(fields: dict[str, Any], key: str, word: str, path: str) -> str | None:
    if not path.startswith(("/", "{{")):
        return f"{word} {path}: a file has to be an absolute path in a volume of the sidecar"
    fields.setdefault(key, []).append(path)
    return None


def _parameter(fields: dict[str, Any], text: str) -> str | None:
    name, _, value = text.partition(" ")
    if not value.strip():
        return f"PARAMETER {name} has no value"
    parameters = fields.setdefault("parameters", {})
    if name == "stop":
        parameters.setdefault(name, []).append(_unquoted(value.strip()))
    else:
        parameters[name] = _typed(_unquoted(value.strip()))
    return None


def _message(fields: dict[str, Any], text: str) -> str | None:
    role, _, content = text.partition(" ")
    if role not in _ROLES:
        return f"MESSAGE {role!r} is none of {', '.join(_ROLES)}"
    fields.setdefault("messages", []).append({"role": role, "content": _unquoted(content.strip())})
    return None


def _typed(text: str) -> int | float | bool | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _unquoted(text: str) -> str:
    for quotes in (_QUOTES, '"'):
        if len(text) >= 2 * len(quotes) and text.startswith(quotes) and text.endswith(quotes):
            return text[len(quotes) : -len(quotes)]
    return text


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Each instruction with the line on which it begins; a value in triple quotes spans lines."""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word, _, value = line.strip().replace("\t", " ", 1).partition(" ")
        value = value.strip()
        while value.count(_QUOTES) == 1:
            more = next(lines, None)
            if more is None:
                raise OptionError([f"Modelfile line {number}: its quotes are never closed"])
            value = f"{value}\n{more[1]}"
        wanted = word.upper()
        yield number, wanted, value if wanted in ("PARAMETER", "MESSAGE") else _unquoted(value)
