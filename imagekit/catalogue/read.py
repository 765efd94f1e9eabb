# SPDX-License-Identifier: Apache-2.0
"""From an `image.toml` to a Plugin, or to what is wrong in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, get_args

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from imagekit.catalogue.model import Limit, Need, Place, Plugin
from imagekit.errors import ImagekitError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class CatalogueError(ImagekitError):
    """A plugin's `image.toml` is not as it should be."""


def read_plugin(name: str, text: str) -> Plugin:
    """The plugin that `text`, an `image.toml`, says.

    Raises:
        CatalogueError: it is not TOML, lacks a key, has one too many, or a value is none.
    """
    try:
        document = tomllib.loads(text)
        unknown = document.keys() - _READERS.keys()
        if unknown:
            raise ValueError(f"unknown key {min(unknown)!r}")  # noqa: TRY301 - one way out
        return Plugin(name, **{key: reader(document, key) for key, reader in _READERS.items()})
    except ValueError as error:
        raise CatalogueError(f"reading image.toml of plugin {name}: {error}") from error


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} is missing or no text")
    return value


def _texts(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = document.get(key, [])
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise ValueError(f"{key} is no list of texts")
    return tuple(values)


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, str]:
    values = document.get(key, {})
    if not isinstance(values, dict) or not all(isinstance(each, str) for each in values.values()):
        raise ValueError(f"{key} is no table of texts")
    return values


def _place(document: Mapping[str, Any], key: str) -> Place:
    known: tuple[Place, ...] = get_args(Place)
    for place in known:
        if document.get(key) == place:
            return place
    raise ValueError(f"{key} is none of {', '.join(known)}")


def _needs(document: Mapping[str, Any], key: str) -> Mapping[Need, str]:
    told = _mapping(document, key)
    known: tuple[Need, ...] = get_args(Need)
    if not told.keys() <= set(known):
        raise ValueError(f"{key} has keys beyond {', '.join(known)}")
    return {need: told[need] for need in known if need in told}


def _requirements(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(_requirement(text) for text in _texts(document, key))


def _requirement(text: str) -> str:
    try:
        Requirement(text)
    except InvalidRequirement as error:
        raise ValueError(f"{text!r} is no requirement") from error
    return text


def _specifier(document: Mapping[str, Any], key: str) -> str:
    if key not in document:
        return ""
    text = _text(document, key)
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(f"{key} {text!r} is no version specifier") from error
    return text


def _python_why(document: Mapping[str, Any], key: str) -> str:
    if "python" in document:
        return _text(document, key)
    if key in document:
        raise ValueError(f"{key} says why of no python")
    return ""


def _limits(document: Mapping[str, Any], key: str) -> tuple[Limit, ...]:
    tables = document.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise ValueError(f"{key} is no array of tables")
    found = []
    for table in tables:
        if table.keys() != {"requirement", "why"}:
            raise ValueError(f"{key} has other keys than requirement and why")
        found.append(Limit(_requirement(_text(table, "requirement")), _text(table, "why")))
    return tuple(found)


_READERS: Mapping[str, Callable[[Mapping[str, Any], str], Any]] = {
    "about": _text,
    "task_types": _texts,
    "runs": _place,
    "packages": _requirements,
    "apt_packages": _texts,
    "env": _mapping,
    "python": _specifier,
    "python_why": _python_why,
    "from_source": _texts,
    "modules": _texts,
    "needs": _needs,
    "limits": _limits,
}
