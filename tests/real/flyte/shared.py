# SPDX-License-Identifier: Apache-2.0
"""Plain functions that both runtimes run."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from os import PathLike
from typing import Literal, Optional, Union


class Color(Enum):
    RED = "r"
    BLUE = "b"


@dataclass
class Inner:
    when: datetime
    span: timedelta
    note: Optional[str] = None  # noqa: UP045


@dataclass
class Choices:
    color: Color
    day: date
    either: Union[int, str]  # noqa: UP007
    raw: bytes = b""


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


def choices(
    x: Union[int, str, None],  # noqa: UP007
    y: Union[list[int], list[str]],  # noqa: UP007
    z: Color,
    w: Literal["a", "b"],
) -> tuple[Union[int, float], Optional[Color], Literal[1, 2], list[Union[str, int]]]:  # noqa: UP007, UP045
    return 3 if x == "x" else 1.5, z, 2, [*y, 4]


def days(x: date, y: Choices) -> tuple[date, Choices, Union[date, datetime]]:  # noqa: UP007
    return x + timedelta(days=1), y, x


def raw(x: bytes) -> str:
    return x.hex()


def iterated(x: Iterator[int]) -> Iterator[str]:
    return (f"{each}" for each in x)


def paths(x: PathLike) -> str:  # type: ignore[type-arg]
    with open(x) as file:
        return file.read()


def fails(x: int) -> int:
    if x:
        raise ValueError(f"no {x}")
    return x
