# SPDX-License-Identifier: Apache-2.0
"""A suite's Release file: fetched clear-signed, verified, and read.

All that is believed of an archive hangs on this signature: it names the digests of the package
lists, and those name the digests of the packages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import pysequoia

from imagekit.debian.control import Stanza, stanzas
from imagekit.errors import FetchError, ImagekitError, IntegrityError
from imagekit.urls import without_credentials
from imagekit.values import frozen

_CLEAR_SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"


@frozen
class SuiteRelease:
    """One verified Release file; `files` maps a path below it to (sha256, size in bytes).

    `uris` are the mirrors, the one that gave this file first.
    """

    suite: str
    uris: tuple[str, ...]
    date: datetime
    by_hash: bool
    files: Mapping[str, tuple[str, int]]


@frozen
class Trust:
    """What a Release file has to stand against: keys, armoured or not, and a time.

    A mirror that withholds updates shows itself by a Release file past its Valid-Until, so that
    is refused. Frozen copies of the archive are past it by design: `check_valid_until` False is
    the explicit word that the mirror is one. What was locked stays the same either way.
    """

    keys: tuple[bytes, ...]
    now: datetime
    check_valid_until: bool = True


def fetch_release(
    uris: Sequence[str], suite: str, trust: Trust, fetch: Callable[[str], bytes]
) -> SuiteRelease:
    """The Release file of `suite` from the first of `uris` whose copy stands.

    Raises:
        FetchError: no mirror gave one.
        IntegrityError: what came is not signed by the release's keys, is of another suite, or
            has expired.
    """
    failures: list[ImagekitError] = []
    for uri in uris:
        try:
            signed = fetch(f"{uri}/dists/{suite}/InRelease")
            return read_release(signed, suite, trust, (uri, *(u for u in uris if u != uri)))
        except (FetchError, IntegrityError) as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    serious = [error for error in failures if isinstance(error, IntegrityError)]
    kind = IntegrityError if serious else FetchError
    reasons = "\n".join(f"  {error.message}" for error in failures)
    raise kind(f"no mirror gives {suite}:\n{reasons}", hint=(serious or failures)[0].hint)


def read_release(signed: bytes, suite: str, trust: Trust, uris: tuple[str, ...]) -> SuiteRelease:
    where = f"{without_credentials(uris[0])}/dists/{suite}/InRelease"
    text = verified(signed, trust.keys, where).decode("utf-8", "replace")
    fields = next(stanzas(text), {})
    names = {fields.get("Suite"), fields.get("Codename")}
    if suite not in names:
        called = fields.get("Codename", "nothing")
        raise IntegrityError(
            f"{where}: asked for {suite}, got {called}",
            hint="the mirror mixes up its suites; name another mirror",
        )
    _refuse_expired(fields, trust, where)
    by_hash = fields.get("Acquire-By-Hash", "no") == "yes"
    return SuiteRelease(suite, uris, _time(fields, "Date", where), by_hash, _files(fields, where))


def verified(signed: bytes, keys: Sequence[bytes], where: str) -> bytes:
    """The text that a clear-signed message signs, when one of `keys` made a good signature.

    Raises:
        IntegrityError: it is not signed, or by no such key, or was changed.
    """
    if not signed.lstrip().startswith(_CLEAR_SIGNED):
        raise IntegrityError(f"{where}: not signed", hint="is the URI that of a Debian mirror?")
    certificates = _certificates(keys)
    try:
        # pysequoia raises RuntimeError; its text is a stack trace after the first line.
        message = pysequoia.verify(signed, lambda _: certificates)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise IntegrityError(
            f"{where}: {reason}",
            hint="the file was changed on its way, or is signed by keys that this version of "
            "imagekit does not know",
        ) from error
    if not message.valid_sigs or message.bytes is None:
        raise IntegrityError(f"{where}: no good signature by a key of this release")
    return bytes(message.bytes)


def _certificates(keys: Sequence[bytes]) -> list[pysequoia.Cert]:
    try:
        return [found for key in keys for found in pysequoia.Cert.split_bytes(key)]
    except (RuntimeError, ValueError, TypeError) as error:
        raise IntegrityError(
            "keys of the base do not read: " + str(error).partition("\n")[0],
            hint="which its own apt could not use either: is the base damaged?",
        ) from error


def _refuse_expired(fields: Stanza, trust: Trust, where: str) -> None:
    if not trust.check_valid_until or "Valid-Until" not in fields:
        return
    until = _time(fields, "Valid-Until", where)
    if until < trust.now:
        raise IntegrityError(
            f"{where}: expired on {until:%Y-%m-%d %H:%M} UTC",
            hint="the mirror is out of date, or this machine's clock is wrong; for a frozen "
            "mirror set IMAGEKIT_DEBIAN_CHECK_VALID_UNTIL=no",
        )


def _time(fields: Stanza, name: str, where: str) -> datetime:
    try:
        return parsedate_to_datetime(fields[name]).astimezone(timezone.utc)
    except (KeyError, ValueError) as error:
        raise IntegrityError(f"{where}: its {name} does not read") from error


def _files(fields: Stanza, where: str) -> dict[str, tuple[str, int]]:
    files = {}
    for line in fields.get("SHA256", "").splitlines():
        if not line.strip():
            continue
        try:
            sha256, size_bytes, path = line.split()
            files[path] = (sha256, int(size_bytes))
        except ValueError as error:
            raise IntegrityError(f"{where}: not an entry of a file list: {line[:80]!r}") from error
    return files
