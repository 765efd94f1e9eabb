# SPDX-License-Identifier: Apache-2.0
"""Taking values out of a lock's tables, or saying which of them is not as we write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

SHA256 = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T")


class MalformedError(Exception):
    """Says which part of a lock is not as we write it."""


def take(table: Mapping[str, Any], key: str, kind: type[_T]) -> _T:
    value = table.get(key)
    if not isinstance(value, kind):
        raise MalformedError(f"{key} is missing or no {kind.__name__}")
    return value


def matching(table: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = take(table, key, str)
    if not pattern.fullmatch(value):
        raise MalformedError(f"{key} {value!r} is not as it should be")
    return value


def one_of(table: Mapping[str, Any], key: str, allowed: Mapping[str, object]) -> str:
    value = take(table, key, str)
    if value not in allowed:
        raise MalformedError(f"{key} {value!r} is not known")
    return value
