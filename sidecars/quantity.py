# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities: "500m", "16Gi", "1e3". Read as exact fractions, written as strings."""

from __future__ import annotations

import math
import re
from fractions import Fraction

_PATTERN = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<power>[+-]?\d+))?"
)
_BINARY = {f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", 1)}
_DECIMAL = {letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", 1)}
_SMALL = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000)}
_SUFFIXES = {**_BINARY, **_DECIMAL, **_SMALL}
_LONGEST = 40
_MEBIBYTE = 1024**2


def parse_quantity(value: str | float) -> Fraction:
    """What the API server would read. Raises ValueError where it would refuse."""
    found = _PATTERN.fullmatch(text := str(value))
    if found is None or isinstance(value, bool) or len(text) > _LONGEST:
        raise ValueError(f"{value!r} is no Kubernetes quantity")
    power = int(found["power"] or 0)
    if abs(power) > _LONGEST:
        raise ValueError(f"{value!r} is no Kubernetes quantity")
    scale = _SUFFIXES.get(found["suffix"], Fraction(1)) * Fraction(10) ** power
    return Fraction(found["number"]) * Fraction(scale)


def format_bytes(size_bytes: Fraction | int) -> str:
    """In whole mebibytes, rounded up; in gibibytes where that is exact."""
    mebibytes = math.ceil(Fraction(size_bytes) / _MEBIBYTE)
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"
