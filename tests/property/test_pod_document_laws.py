# SPDX-License-Identifier: Apache-2.0
"""Laws of what pods are written in: quantities, and YAML with data beside the pod."""

from __future__ import annotations

import base64
from contextlib import suppress
from fractions import Fraction

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as some

from imagekit.errors import PodError
from imagekit.pods.documents import Data, load_documents
from sidecars.quantity import format_bytes, parse_quantity

SCALES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
names = some.text("abc", min_size=1, max_size=3)
keys = some.text("ab.-_", min_size=1, max_size=4)
secrets = some.dictionaries(names, some.dictionaries(keys, some.binary(max_size=8)), max_size=3)
maps = some.dictionaries(names, some.dictionaries(keys, some.text(max_size=8)), max_size=3)


@given(some.integers(0, 10**6), some.integers(0, 999), some.sampled_from(sorted(SCALES)))
def test_a_quantity_is_its_number_times_its_suffix(whole: int, part: int, suffix: str) -> None:
    """Exactly, also with a fraction; half a number of thousandths is refused."""
    number = Fraction(whole) + Fraction(part, 1000)
    assert parse_quantity(f"{whole}.{part:03}{suffix}") == number * SCALES[suffix]
    assert parse_quantity(f"{whole}m") == Fraction(whole, 1000)
    with pytest.raises(ValueError, match="is no Kubernetes quantity"):
        parse_quantity(f"{whole} {suffix}m")


@given(some.integers(0, 2**60))
def test_bytes_are_written_as_at_least_as_many(size: int) -> None:
    """Less than a mebibyte more."""
    assert 0 <= parse_quantity(format_bytes(size)) - size < 2**20


@given(some.text(alphabet="0123456789.eE+-nukmMGTPi ", max_size=8))
def test_a_text_is_a_quantity_or_is_refused(text: str) -> None:
    """There is no other way out, and the exponent is no trap for memory."""
    with suppress(ValueError):
        assert isinstance(parse_quantity(text), Fraction)


@settings(deadline=None)
@given(secrets, maps, some.booleans())
def test_data_comes_back_as_it_was(
    secret: dict[str, dict[str, bytes]], config: dict[str, dict[str, str]], listed: bool
) -> None:
    """Whatever its bytes are, beside the pod or with it in a List."""
    written = [
        {"kind": "Pod", "metadata": {"name": "p"}},
        *(
            {
                "kind": "Secret",
                "metadata": {"name": name},
                "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
            }
            for name, data in secret.items()
        ),
        *(
            {"kind": "ConfigMap", "metadata": {"name": name}, "data": data}
            for name, data in config.items()
        ),
    ]
    text = yaml.safe_dump_all([{"kind": "List", "items": written}] if listed else written)
    pod, data = load_documents(text, "stdin")
    expected = {name: {k: v.encode() for k, v in each.items()} for name, each in config.items()}
    assert (pod, data) == (written[0], Data(secret, expected))


@settings(deadline=None)
@given(some.text(max_size=20) | some.text("ab:-[]{}&*!'0123456789 \n", max_size=20))
@example("a: 2026-13-45")
@example("kind: [Job]")
@example("kind: List\nitems: 5")
@example("kind: Secret\nmetadata: s")
@example("kind: Secret\nmetadata: {name: s}\ndata: {1: YQ==}")
@example("[" * 1200)
def test_any_text_is_documents_or_one_clear_error(text: str) -> None:
    """No other exception, whatever is typed."""
    with suppress(PodError):
        load_documents(text, "stdin")
