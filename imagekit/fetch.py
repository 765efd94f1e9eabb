# SPDX-License-Identifier: Apache-2.0
"""Downloads into a cache that is addressed by content.

What is pinned is fetched once per machine, from whichever URL still has it, and its digest is
checked while it arrives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit

from imagekit import interrupts
from imagekit.errors import FetchError, IntegrityError
from imagekit.files import exclusive, replacing, sha256_of
from imagekit.paths import cache_directory
from imagekit.urls import without_credentials
from imagekit.usage import used

_ATTEMPTS = 5
_Result = TypeVar("_Result")

Advance = Callable[[int], object]
"""Called with the number of bytes that just arrived; negative when a download starts over."""


@dataclass(slots=True)
class _Arrival:
    """What of a file is here so far."""

    stream: BinaryIO
    digest: hashlib._Hash
    size_bytes: int = 0

    def add(self, chunk: bytes) -> None:
        interrupts.check()
        self.stream.write(chunk)
        self.digest.update(chunk)
        self.size_bytes += len(chunk)

    def restart(self) -> None:
        self.stream.seek(0)
        self.stream.truncate()
        self.digest = hashlib.sha256()
        self.size_bytes = 0


def cached(sha256: str, *, directory: Path | None = None) -> Path | None:
    """The file with that digest (64 hex digits), if an earlier `fetch` left it here."""
    path = _location(sha256, directory)
    return path if used(path) else None


def fetch(
    urls: Sequence[str],
    *,
    sha256: str,
    size_bytes: int | None,
    name: str,
    advance: Advance | None = None,
    directory: Path | None = None,
) -> Path:
    """Return the file with digest `sha256` (64 hex digits), from the cache or from `urls` in order.

    Raises:
        FetchError: no URL gave it.
        IntegrityError: a server gave other bytes.
    """
    path = _location(sha256, directory)
    if used(path):
        return path
    with exclusive(path.parent.parent / "locks" / sha256):
        if used(path):
            return path
        with replacing(path, mode=0o444) as stream:
            arrival = _Arrival(stream, hashlib.sha256())
            _first(urls, arrival, size_bytes, name, advance or _ignore)
            if arrival.digest.hexdigest() != sha256:
                raise IntegrityError(
                    f"{name}: sha256 is {arrival.digest.hexdigest()}, the lock says {sha256}",
                    hint="the index serves other bytes than when the lock was made",
                )
    return path


def discard_spoilt(names: Mapping[str, str]) -> list[str]:
    """Remove cached files whose bytes are no longer what was fetched; returns their names.

    `names` are those of the files to look at, by sha256.
    """
    found = []
    for sha256, name in names.items():
        path = cached(sha256)
        if path is not None and sha256_of(path) != sha256:
            path.unlink(missing_ok=True)
            found.append(name)
    return found


def fetch_small(url: str) -> bytes:
    """The bytes at `url`, uncached; for what is small and checked by other means."""
    return _retrying(url, lambda: b"".join(_body(url, 0)))


def _ignore(_: int) -> None:
    return None


def _location(sha256: str, directory: Path | None) -> Path:
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise IntegrityError(f"not a sha256 in hexadecimal: {sha256[:100]!r}")
    root = cache_directory() / "files" if directory is None else directory
    return root / "sha256" / sha256


def _first(
    urls: Sequence[str], arrival: _Arrival, size_bytes: int | None, name: str, advance: Advance
) -> None:
    failures = []
    for url in urls:
        try:
            _whole(url, arrival, size_bytes, advance)
        except FetchError as error:
            failures.append(error.message)
            advance(-arrival.size_bytes)
            arrival.restart()
        else:
            return
    reasons = "; ".join(failures) or "no URL is known for it"
    raise FetchError(f"fetching {name}: {reasons}", hint="is the package index reachable?")


def _whole(url: str, arrival: _Arrival, size_bytes: int | None, advance: Advance) -> None:
    from imagekit.transfer import TransientError  # noqa: PLC0415 - see there

    def attempt() -> None:
        for chunk in _body(url, arrival.size_bytes):
            if not chunk:  # the server would not go on where we stopped
                advance(-arrival.size_bytes)
                arrival.restart()
                continue
            arrival.add(chunk)
            advance(len(chunk))
            if size_bytes is not None and arrival.size_bytes > size_bytes:
                raise IntegrityError(
                    f"{without_credentials(url)}: more than the locked {size_bytes} bytes"
                )
        if size_bytes is not None and arrival.size_bytes < size_bytes:
            raise TransientError(f"{arrival.size_bytes} of {size_bytes} bytes came")

    _retrying(url, attempt)


def _retrying(url: str, attempt: Callable[[], _Result]) -> _Result:
    import random  # noqa: PLC0415 - most commands find their files here

    from imagekit.transfer import TransientError  # noqa: PLC0415 - see there

    for count in range(1, _ATTEMPTS + 1):
        try:
            return attempt()
        except TransientError as error:
            if count == _ATTEMPTS:
                raise FetchError(f"{without_credentials(url)}: {error}, {count} times") from error
            # Doubling, with jitter so that many clients spread.
            backoff = 0.5 * 2**count * random.uniform(0.5, 1.5)  # noqa: S311
            interrupts.pause(backoff if error.wait_seconds is None else error.wait_seconds)
    raise AssertionError(url)


def _body(url: str, offset: int) -> Iterator[bytes]:
    """See imagekit.transfer.body; files are read too."""
    from imagekit.transfer import body  # noqa: PLC0415 - see there

    parts = urlsplit(url)
    if parts.scheme == "file":
        return _local_file(Path(unquote(parts.path)), offset)
    return body(url, offset)


def _local_file(path: Path, offset: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            while chunk := stream.read(1 << 18):
                yield chunk
    except OSError as error:
        raise FetchError(f"reading {path}: {error.strerror}") from error
