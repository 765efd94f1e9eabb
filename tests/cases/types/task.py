# SPDX-License-Identifier: Apache-2.0
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple


@dataclass
class Window:
    start: datetime
    length: timedelta
    tags: list[str]


class Result(NamedTuple):
    greeting: str
    ends: list[datetime]
    longest: Window
    nothing: int | None


def main(windows: list[Window], weights: dict[str, float], missing: int | None = None) -> Result:
    longest = max(windows, key=lambda window: window.length)
    assert isinstance(longest.start, datetime)
    assert weights == {"a": 0.5, "ü": 2.0}
    ends = [window.start + window.length for window in windows]
    return Result(os.environ["GREETING"], ends, longest, missing)
