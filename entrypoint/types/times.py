# SPDX-License-Identifier: Apache-2.0
"""datetime and timedelta. A datetime without a time zone is UTC on the wire and comes back so."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..errors import ConversionError
from ..wire import messages, times
from . import describe, kind_of

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


def _seconds(text: str) -> float:
    from re import findall, fullmatch

    if not fullmatch(r"-?(\d+(\.\d+)?[dhms])+", text):
        raise ConversionError(f"expected seconds or text such as 1h30m, got {text!r:.60}")
    total = sum(float(number) * _UNITS[unit] for number, unit in findall(r"([\d.]+)([dhms])", text))
    return -total if text.startswith("-") else total
