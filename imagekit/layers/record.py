# SPDX-License-Identifier: Apache-2.0
"""RECORD: which files an installed distribution has (PyPA, "Recording installed projects")."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterable

from imagekit.errors import IntegrityError
from imagekit.values import frozen

_SAFE = ("sha256", "sha384", "sha512")
"""Binary distribution format: "sha256 or better"; md5 and sha1 are not permitted."""


@frozen
class Row:
    """A file relative to site-packages; hash as `sha256=...`, both empty where unknown."""

    path: str
    hash: str = ""
    size: str = ""


def parse(data: bytes, source: str) -> dict[str, Row]:
    """Rows by path. Raises IntegrityError where `data` is no table of three columns."""
    try:
        table = list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise IntegrityError(f"{source}: RECORD does not read: {error}") from error
    rows: dict[str, Row] = {}
    for line in table:
        if len(line) != 3:
            raise IntegrityError(f"{source}: RECORD has a line of {len(line)} columns, not three")
        found = Row(*line)
        if found.hash and found.hash.partition("=")[0] not in _SAFE:
            raise IntegrityError(
                f"{source}: RECORD has a hash of a kind that is not safe: {line[0]}"
            )
        if rows.setdefault(line[0], found) != found:
            raise IntegrityError(f"{source}: RECORD has {line[0]} twice, in two ways")
    return rows


def row(path: str, data: bytes) -> Row:
    return Row(path, hash_of(hashlib.sha256(data)), str(len(data)))


def digest_for(expected: str) -> hashlib._Hash:
    """What computes a hash of the kind of `expected`, a row's; sha256 where it is empty."""
    return hashlib.new(expected.partition("=")[0] or "sha256")


def hash_of(digest: hashlib._Hash) -> str:
    """A finished hash as RECORD spells it: urlsafe base64 without padding."""
    return f"{digest.name}=" + base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def write(rows: Iterable[Row]) -> bytes:
    """The file's bytes, sorted by path."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for item in sorted(rows, key=lambda item: item.path):
        writer.writerow((item.path, item.hash, item.size))
    return text.getvalue().encode("utf-8")
