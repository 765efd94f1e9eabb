# SPDX-License-Identifier: Apache-2.0
"""The wire's bytes, written out by hand from protobuf's encoding rules."""

from __future__ import annotations

from typing import Any

import pytest

from imagekit.buildkit.messages import MESSAGES
from imagekit.buildkit.protobuf import decode, encode, fields_of
from imagekit.errors import BuildError

GOLDEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "a status request": ("StatusRequest", {"Ref": "ab"}, "0a026162"),
    "nothing at all": ("Packet", {}, ""),
    "the end of a file": ("Packet", {"type": 2, "ID": 300}, "080218ac02"),
    "a link": (
        "Packet",
        {"stat": {"path": b"l", "mode": 0x080001FF, "modtime": -1, "linkname": b"t"}},
        "1216" + "0a016c" + "10ff838040" + "30" + "ff" * 9 + "01" + "3a0174",
    ),
    "a map, by key": (
        "SolveRequest",
        {"FrontendAttrs": {"b": "2", "a": ""}},
        "3a05" + "0a0161" + "1200" + "3a06" + "0a0162" + "120132",
    ),
    "repeated texts": ("SolveRequest", {"Entitlements": ["x", ""]}, "4a01784a00"),
    "a message that is there and empty": ("SolveRequest", {"Cache": {}}, "4200"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_messages_have_the_bytes_that_the_rules_give(name: str) -> None:
    """Both ways."""
    message, value, expected = GOLDEN[name]
    assert encode(message, value).hex() == expected
    assert decode(message, bytes.fromhex(expected)) == value


def test_what_the_table_does_not_know_is_skipped() -> None:
    """Unknown fields of each wire type, and a known number with another type."""
    unknown = "c80105" + "c9010000000000000000" + "ca0102aabb" + "cd0100000000" + "0801"
    assert decode("StatusRequest", bytes.fromhex(unknown + "0a0161")) == {"Ref": "a"}


@pytest.mark.parametrize("data", ["0a05", "0a", "80", "0b", "0aff", "0a01ff", "ff" * 11])
def test_bytes_that_are_no_message_are_an_error(data: str) -> None:
    """Never an exception of Python's."""
    with pytest.raises(BuildError, match="does not read"):
        decode("StatusRequest", bytes.fromhex(data))


@pytest.mark.parametrize("message", MESSAGES)
def test_every_row_of_the_table_reads(message: str) -> None:
    """All of its text is fields, each number and name once, each kind a scalar or a row."""
    fields = fields_of(message).values()
    texts = [text for text in MESSAGES[message].split(", ") if text]
    assert len(fields) == len(texts) == len({f.name for f in fields})
    scalars = {"string", "bytes", "bool", "int64", "uint64"}
    assert all(field.kind in scalars | set(MESSAGES) for field in fields)
