# SPDX-License-Identifier: Apache-2.0
"""datetime, date and timedelta.

A datetime without a time zone is UTC on the wire and comes back so.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from ..errors import ConversionError
from ..wire import messages, times
from . import NO, describe, fit, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from ..place import Place
    from ..wire.protobuf import Message

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


class Moment:
    tag = "datetime"
    literal_type: ClassVar[Message] = {"simple": messages.DATETIME}
    textual = True

    def __init__(self, annotation: Any) -> None:
        """The annotation is datetime."""

    def to_literal(self, value: Any, place: Place) -> Message:
        if not isinstance(value, datetime):
            raise ConversionError(f"expected datetime, got {describe(value)}")
        return {"scalar": {"primitive": {"datetime": times.timestamp_of(value)}}}

    def from_literal(self, literal: Message) -> datetime:
        primitive = literal.get("scalar", {}).get("primitive", {})
        if "datetime" not in primitive:
            raise ConversionError(f"expected datetime, got {kind_of(literal)}")
        return times.datetime_of(primitive["datetime"])

    def pack(self, value: Any, place: Place) -> str:
        if not isinstance(value, datetime):
            raise ConversionError(f"expected datetime, got {describe(value)}")
        return value.isoformat()

    def unpack(self, value: Any) -> datetime:
        if not isinstance(value, str):
            raise ConversionError(f"expected an ISO 8601 datetime, got {describe(value)}")
        # Python before 3.11 does not read the letter Z.
        text = value[:-1] + "+00:00" if value[-1:] in ("Z", "z") else value
        try:
            return datetime.fromisoformat(text)
        except ValueError as error:
            raise ConversionError(f"expected an ISO 8601 datetime, got {value!r:.60}") from error

    def fits(self, value: Any) -> int:
        return fit(value, datetime)


class Day:
    """A date: on the wire the midnight, in UTC, that it begins with."""

    tag = "date"
    literal_type: ClassVar[Message] = {"simple": messages.DATETIME}
    textual = True

    def __init__(self, annotation: Any) -> None:
        """The annotation is date."""

    def to_literal(self, value: Any, place: Place) -> Message:
        self._check(value)
        midnight = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
        return {"scalar": {"primitive": {"datetime": times.timestamp_of(midnight)}}}

    def from_literal(self, literal: Message) -> date:
        primitive = literal.get("scalar", {}).get("primitive", {})
        if "datetime" not in primitive:
            raise ConversionError(f"expected date, got {kind_of(literal)}")
        return times.datetime_of(primitive["datetime"]).date()

    def pack(self, value: Any, place: Place) -> str:
        self._check(value)
        text: str = value.isoformat()
        return text

    def unpack(self, value: Any) -> date:
        """A date, or the midnight that stands for it in outputs.json."""
        if not isinstance(value, str):
            raise ConversionError(f"expected an ISO 8601 date, got {describe(value)}")
        try:
            return date.fromisoformat(value.partition("T00:00:00")[0])
        except ValueError as error:
            raise ConversionError(f"expected an ISO 8601 date, got {value!r:.60}") from error

    def fits(self, value: Any) -> int:
        return NO if isinstance(value, datetime) else fit(value, date)

    def _check(self, value: Any) -> None:
        """A datetime is a date to Python; its time would be lost."""
        if not self.fits(value):
            raise ConversionError(f"expected date, got {describe(value)}")


class Span:
    tag = "timedelta"
    literal_type: ClassVar[Message] = {"simple": messages.DURATION}

    def __init__(self, annotation: Any) -> None:
        """The annotation is timedelta."""

    def to_literal(self, value: Any, place: Place) -> Message:
        if not isinstance(value, timedelta):
            raise ConversionError(f"expected timedelta, got {describe(value)}")
        return {"scalar": {"primitive": {"duration": times.duration_of(value)}}}

    def from_literal(self, literal: Message) -> timedelta:
        primitive = literal.get("scalar", {}).get("primitive", {})
        if "duration" not in primitive:
            raise ConversionError(f"expected timedelta, got {kind_of(literal)}")
        return times.timedelta_of(primitive["duration"])

    def pack(self, value: Any, place: Place) -> float:
        if not isinstance(value, timedelta):
            raise ConversionError(f"expected timedelta, got {describe(value)}")
        return value.total_seconds()

    def unpack(self, value: Any) -> timedelta:
        """A number of seconds, or text such as `90s` or `1h30m`."""
        if isinstance(value, str):
            value = _seconds(value)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ConversionError(f"expected seconds, got {describe(value)}")
        try:
            return timedelta(seconds=value)
        except (OverflowError, ValueError) as error:
            raise ConversionError("is no time span that Python knows") from error

    def fits(self, value: Any) -> int:
        return fit(value, timedelta)


def _seconds(text: str) -> float:
    from re import findall, fullmatch

    if not fullmatch(r"-?(\d+(\.\d+)?[dhms])+", text):
        raise ConversionError(f"expected seconds or text such as 1h30m, got {text!r:.60}")
    total = sum(float(number) * _UNITS[unit] for number, unit in findall(r"([\d.]+)([dhms])", text))
    return -total if text.startswith("-") else total
