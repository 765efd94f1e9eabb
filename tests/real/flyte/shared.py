# SPDX-License-Identifier: Apache-2.0
"""Plain functions that both runtimes run."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Optional


@dataclass
class Inner:
    when: datetime
    span: timedelta
    note: Optional[str] = None  # noqa: UP045


@dataclass
class Outer:
    rate: float
    inner: Inner
    several: list[Inner] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    by_number: dict[int, float] = field(default_factory=dict)


def integers(x: int, y: list[int]) -> int:
    return x + sum(y)


def several(x: int, y: str) -> tuple[int, str, float]:
    return -x, y * 2, x / 3


def booleans(x: bool, y: Optional[bool]) -> Optional[bool]:  # noqa: UP045
    return None if x else y


def moments(x: datetime, y: timedelta) -> tuple[datetime, timedelta]:
    return x + y, -y


def maps(x: dict[str, list[float]]) -> tuple[dict[str, float], dict[int, str]]:
    return {key: float(sum(value)) for key, value in x.items()}, {1: "one", -2: "two"}


def untyped(x: dict) -> dict:  # type: ignore[type-arg]
    return {**x, "more": [1, 2.5, None, True, "é", {"deep": -(2**40)}]}


def records(x: Outer, y: Optional[Outer]) -> tuple[Outer, list[Inner]]:  # noqa: UP045
    return x, [x.inner, *(y.several if y else [])]


def optional_record(x: int) -> Optional[Inner]:  # noqa: UP045
    return Inner(datetime(2024, 1, 1), timedelta(seconds=x)) if x else None  # noqa: DTZ001


def fails(x: int) -> int:
    if x:
        raise ValueError(f"no {x}")
    return x
