# SPDX-License-Identifier: Apache-2.0
"""A base goes into the lock and comes back whole."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
import tomli_w

from imagekit.debian.base import DebianBase, DebPackage
from imagekit.debian.recipe import recipe
from imagekit.errors import LockError

PACKAGE = DebPackage("bash", "5.2-1", "amd64", "pool/main/b/bash_5.2.deb", "ab" * 32, 10)
BASE = DebianBase(
    "bookworm",
    "amd64",
    "3.11.2",
    "/usr/bin/python3.11",
    ("glibc", 2, 36),
    (PACKAGE,),
    (("bookworm", "2026-07-11T10:16:37Z"),),
)


def test_a_base_survives_json_and_toml() -> None:
    """It is made of plain values only."""
    assert DebianBase.from_dict(json.loads(json.dumps(BASE.to_dict()))) == BASE
    assert tomli_w.dumps(BASE.to_dict())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("libc", ["glibc", 2]),
        ("release", 3),
        ("packages", [{"name": "bash"}]),
        ("packages", "bash"),
        ("released", []),
        ("python-path", None),
    ],
)
def test_a_damaged_entry_is_an_error_of_the_lock(field: Any, value: Any) -> None:
    """With the way to make it again."""
    data = BASE.to_dict() | {field: value}
    with pytest.raises(LockError) as caught:
        DebianBase.from_dict(data)
    assert "imagekit lock" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("field", "value"),
    [("sha256", "../../x"), ("filename", "../../secret"), ("filename", "/etc/passwd")],
)
def test_a_lock_can_not_lead_out(field: Any, value: Any) -> None:
    """Digests become paths, and file names become URLs: both are checked."""
    data = copy.deepcopy(BASE.to_dict())
    data["packages"][0][field] = value
    with pytest.raises(LockError):
        DebianBase.from_dict(data)


def test_identity_is_what_enters_the_image() -> None:
    """When the lists were signed makes no other base; other packages do."""
    assert replace(BASE, released=()).digest == BASE.digest
    other = replace(BASE, packages=(replace(PACKAGE, sha256="cd" * 32),))
    assert other.digest != BASE.digest
    assert recipe(other) != recipe(BASE)
