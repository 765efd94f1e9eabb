# SPDX-License-Identifier: Apache-2.0
"""The values of a spec's fields as they are kept: checked for their types, and never to change.

Task code imports this inside images, so it is standard library alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

Kind = Literal["text", "texts", "joined", "mapping", "flag", "flag_or_texts", "matrix", "pairs"]


class FrozenMap(Mapping[str, str]):
    """A mapping that can't change and hashes; its keys are sorted, so order never matters."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(sorted((values or {}).items()))

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"expected text, found {type(value).__name__}")


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"expected a list of texts, found {type(value).__name__}")
    for item in value:
        if not isinstance(item, str):
            raise TypeError(f"expected a list of texts, one of them is {type(item).__name__}")
    return tuple(value)


def _joined(value: object) -> str:
    """One text for a list and for texts with commas, the same for the same words."""
    words = _text(value).split(",") if not isinstance(value, (list, tuple)) else _texts(value)
    return ",".join(sorted({word.strip() for word in words}))


def _mapping(value: object) -> FrozenMap:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a mapping of texts, found {type(value).__name__}")
    for key, item in value.items():
        if not isinstance(key, str) or not isinstance(item, str):
            raise TypeError(f"expected a mapping of texts, {key!r} is {type(item).__name__}")
    return FrozenMap(value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError(f"expected true or false, found {type(value).__name__}")


def _flag_or_texts(value: object) -> bool | tuple[str, ...]:
    return value if isinstance(value, bool) else tuple(sorted(set(_texts(value))))


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"expected a list of pairs, found {type(value).__name__}")
    pairs = [_texts(item) for item in value]
    if any(len(pair) != 2 for pair in pairs):
        raise TypeError("expected pairs, of a file here and a path in the image")
    return tuple(sorted({(pair[0], pair[1]) for pair in pairs}))


FREEZE: Mapping[Kind, Callable[[object], Any]] = {
    "text": _text,
    "texts": _texts,
    "joined": _joined,
    "mapping": _mapping,
    "flag": _flag,
    "flag_or_texts": _flag_or_texts,
    "matrix": lambda value: value,
    "pairs": _pairs,
}
