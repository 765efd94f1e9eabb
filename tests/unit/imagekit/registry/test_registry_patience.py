# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from imagekit.errors import RegistryError
from imagekit.registry.access import Pace
from imagekit.registry.errors import TransientError, retry_after
from imagekit.registry.transport import Patience


def test_a_server_that_hardly_sends_is_given_up() -> None:
    """A minute with less than 60 kB in it; what came before that does not count."""
    now = [0.0]
    patience = Patience(lambda: now[0])
    patience.count(1_000_000)
    for now[0] in (30.0, 61.0):
        patience.count(1)
    for now[0] in (90.0, 120.0):
        patience.count(1)
    now[0] = 122.0
    with pytest.raises(TransientError, match="bytes a second"):
        patience.count(1)


def test_waits_grow_and_vary() -> None:
    """Doubled each time, by a factor that differs between clients; then it is given up."""
    waits: list[float] = []

    def fail() -> None:
        raise TransientError("broken")

    with pytest.raises(RegistryError, match="doing: broken, 4 times"):
        Pace(4, 1.0, sleep=waits.append).retrying("doing", fail)
    assert len(waits) == 3
    assert all(0.5 * 2**at <= wait <= 1.5 * 2**at for at, wait in enumerate(waits))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("9" * 1000, 999_999_999.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, expected: float | None) -> None:
    """Anything else is our own guess."""
    assert retry_after(value) == expected
