# SPDX-License-Identifier: Apache-2.0
"""Authorities are filed under the names by which OpenSSL looks for them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from imagekit.debian.certificates import subject_hash
from imagekit.errors import IntegrityError
from tests.unit.imagekit.debian.deb_maker import certificate

AUTHORITIES = sorted(Path("/usr/share/ca-certificates").rglob("*.crt"))


@pytest.mark.skipif(
    not AUTHORITIES or shutil.which("openssl") is None, reason="openssl is the judge"
)
def test_openssl_computes_the_same_hashes() -> None:
    """For real authorities: several text types, scripts and shapes of names."""
    for path in AUTHORITIES[::7]:
        asked = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(path)]
        printed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        assert subject_hash(path.read_bytes()) == printed.strip(), path


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Some  CA ", "some ca", True),
        ("\u00c9tat CA", "\u00e9tat CA", False),
        ("a b", "ab", False),
    ],
)
def test_case_and_white_space_do_not_count(one: Any, other: Any, same: Any) -> None:
    """Of ASCII letters only, as in OpenSSL."""
    assert (subject_hash(certificate(one)) == subject_hash(certificate(other))) is same


def test_the_type_of_a_text_does_not_count() -> None:
    """A PrintableString is hashed as the UTF8String of the same text."""
    assert subject_hash(certificate("CA", 0x13)) == subject_hash(certificate("CA"))
    assert subject_hash(certificate("CA", 0x04)) != subject_hash(certificate("CA"))


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_is_an_error(pem: Any) -> None:
    """None is left out in silence."""
    with pytest.raises(IntegrityError):
        subject_hash(pem)
