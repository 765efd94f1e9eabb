# SPDX-License-Identifier: Apache-2.0
"""What wheels write, without the wheels: told, kept and read again."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest

from imagekit.errors import IntegrityError
from imagekit.layers.claims import claims_of, decode, encode
from imagekit.layers.venv import Venv
from tests.fakes.wheels import make_wheel

VENV = Venv("/usr/bin/python3.11", "3.11.2")


def test_claims_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Every path of the installation, with what is there."""
    claims = claims_of(make_wheel(tmp_path, {"thing/a.py": b"x"}), VENV)
    assert "opt/venv/lib/python3.11/site-packages/thing/a.py" in {path for path, *_ in claims.files}
    data = encode([claims])
    assert data == encode([claims])
    assert decode(data, [claims.filename]) == (claims,)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut off"),
        (b"nonsense", "don't read"),
        (gzip.compress(b"[")[:-9], "cut off"),
        (gzip.compress(b"[" * 100_000), "don't read"),
        (gzip.compress(b'[["a.whl", [["x", "y", 1]]]]'), "don't read"),
        (gzip.compress(b'[["a.whl", 3]]'), "don't read"),
        (gzip.compress(json.dumps([["b.whl", []]]).encode()), "of other wheels"),
        (gzip.compress(bytes(300 << 20), 1), "too large"),
    ],
    ids=range(8),
)
def test_claims_that_make_no_sense_are_refused(data: bytes, said: str) -> None:
    """They come from a registry."""
    with pytest.raises(IntegrityError, match=said):
        decode(json.dumps({"claims": base64.b64encode(data).decode()}).encode(), ["a.whl"])


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"claims": 3}', b'{"claims": "~"}'])
def test_what_holds_no_claims_is_refused(data: bytes) -> None:
    """Whatever it is instead."""
    with pytest.raises(IntegrityError, match="don't read"):
        decode(data, [])
