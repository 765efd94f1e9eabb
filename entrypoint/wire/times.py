# SPDX-License-Identifier: Apache-2.0
"""google.protobuf.Timestamp and Duration, from and to Python's own types.

Python counts microseconds: a wire value's nanoseconds are cut to those.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from .protobuf import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .protobuf import Message

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def timestamp_of(moment: datetime) -> Message:
    """A moment without a time zone is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    microseconds = (moment - _EPOCH) // _MICROSECOND
    return {"seconds": microseconds // 1_000_000, "nanos": microseconds % 1_000_000 * 1000}


def datetime_of(timestamp: Message) -> datetime:
    try:
        return _EPOCH + _span(timestamp)
    except OverflowError as error:
        raise WireError(f"{timestamp} is no moment that Python knows") from error


def duration_of(span: timedelta) -> Message:
    """Both parts carry the sign."""
    microseconds = span // _MICROSECOND
    sign = -1 if microseconds < 0 else 1
    seconds, rest = divmod(abs(microseconds), 1_000_000)
    return {"seconds": sign * seconds, "nanos": sign * rest * 1000}


def timedelta_of(duration: Message) -> timedelta:
    try:
        return _span(duration)
    except OverflowError as error:
        raise WireError(f"{duration} is no time span that Python knows") from error


def _span(message: Message) -> timedelta:
    nanos = message.get("nanos", 0)
    microseconds = nanos // 1000 if nanos >= 0 else -(-nanos // 1000)
    return timedelta(seconds=message.get("seconds", 0), microseconds=microseconds)
