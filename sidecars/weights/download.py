# SPDX-License-Identifier: Apache-2.0
"""Files in parallel, in ranges, each going on where it broke off, checked before it has its name.

Of a file under way there are two: `.NAME.part` holds its bytes, `.NAME.done` says which ranges of
it are there and of which version they are. Both are gone when the file is whole.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field

from ..errors import FilesError
from .remote import Remote
from .web import StatusError, TransientError, opened, retried

RANGE_BYTES = 64 * 1024**2
_FILES, _RANGES = 4, 8
_CHUNK_BYTES = 1 << 20
_STEP_PERCENT = 5


@dataclass(slots=True)
class Progress:
    """Says how much of everything has come, in steps; used by several threads."""

    say: Callable[[str], None]
    total_bytes: int | None
    done_bytes: int = 0
    _said: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, count: int) -> None:
        with self._lock:
            self.done_bytes += count
            whole = self.total_bytes or 100 * 1024**3
            reached = self.done_bytes * 100 // (whole * _STEP_PERCENT)
            if reached <= self._said:
                return
            self._said = reached
            megabytes = self.done_bytes // 10**6
            if self.total_bytes:
                percent = min(100, self.done_bytes * 100 // self.total_bytes)
                self.say(f"fetched {percent}%: {megabytes} of {self.total_bytes // 10**6} MB")
            else:
                self.say(f"fetched {megabytes} MB")


def download(
    remotes: Sequence[Remote],
    folder: str,
    until: float,
    say: Callable[[str], None],
    range_bytes: int = RANGE_BYTES,
) -> dict[str, str]:
    """Bring all files into the folder; gives the sha256 of each by its path.

    What is there whole is read and checked, and asked for again only if it is another file.
    Raises FilesError.
    """
    sizes = [each.size_bytes for each in remotes]
    total = None if None in sizes else sum(filter(None, sizes))
    progress = Progress(say, total)
    with ThreadPoolExecutor(_FILES) as files, ThreadPoolExecutor(_RANGES) as ranges:
        work = {
            each.path: files.submit(_File(each, folder, until, progress, ranges, range_bytes).bring)
            for each in remotes
        }
        done, waiting = wait(work.values(), return_when=FIRST_EXCEPTION)
        for each in waiting:
            each.cancel()
        for each in done:
            each.result()
        return {path: each.result() for path, each in work.items()}


class _File:
    def __init__(
        self,
        remote: Remote,
        folder: str,
        until: float,
        progress: Progress,
        ranges: ThreadPoolExecutor,
        range_bytes: int,
    ) -> None:
        self.remote = remote
        self.until = until
        self.progress = progress
        self.ranges = ranges
        self.range_bytes = range_bytes
        self.target = os.path.join(folder, remote.path)
        parent, name = os.path.split(self.target)
        self.part = os.path.join(parent, f".{name}.part")
        self.notes = os.path.join(parent, f".{name}.done")
        self.version = ""
        self.size = remote.size_bytes
        self.done: set[int] = set()
        self.lock = threading.Lock()

    def bring(self) -> str:
        if os.path.exists(self.target):
            with suppress(FilesError):
                sha256 = self.remote.check(self.target)
                self.progress.add(os.path.getsize(self.target))
                return sha256
            os.unlink(self.target)
        os.makedirs(os.path.dirname(self.target), exist_ok=True)
        self._fetch()
        try:
            sha256 = self.remote.check(self.part)
        except FilesError:
            self._forget()
            raise
        _flush(self.part)
        os.replace(self.part, self.target)
        with suppress(FileNotFoundError):
            os.unlink(self.notes)
        return sha256

    def _fetch(self) -> None:
        """The first answer says whether there are ranges; without, all comes in one stream."""
        retried(self._begin, self.until)
        if self.size is None:
            retried(self._stream, self.until)
            return
        descriptor = os.open(self.part, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.ftruncate(descriptor, self.size)
            starts = range(0, self.size, self.range_bytes)
            missing = [start for start in starts if start not in self.done]
            self.progress.add(
                sum(
                    min(self.range_bytes, self.size - start)
                    for start in starts
                    if start in self.done
                )
            )
            work = [self.ranges.submit(self._range, descriptor, start) for start in missing]
            done, waiting = wait(work, return_when=FIRST_EXCEPTION)
            for each in waiting:
                each.cancel()
            wait(waiting)
            for each in done:
                each.result()
        finally:
            os.close(descriptor)

    def _begin(self) -> None:
        """Learn the size, the version and whether ranges are served, from one byte."""
        served, etag = self._asked()
        has_ranges = served.isdigit()
        if has_ranges and self.size not in (None, int(served)):
            raise FilesError(f"{self.remote.path} has {served} bytes, not {self.size}")
        self.size = int(served) if has_ranges else None
        strong = "" if etag.startswith("W/") else etag
        self.version = self.remote.identity or strong
        self.done = self._noted() if self.size is not None and self.version else set()
        if not self.done:
            self._forget()
            with open(self.notes, "w") as notes:
                notes.write(json.dumps(self._described()) + "\n")

    def _asked(self) -> tuple[str, str]:
        """The size, if ranges are served, and the ETag. Of an empty file there is no range."""
        try:
            with opened(self.remote.url, self.remote.headers, 0, 1) as response:
                size = response.headers.get("Content-Range", "").rpartition("/")[2]
                return size if response.status == 206 else "", response.headers.get("ETag", "")
        except StatusError as error:
            if error.status != 416:
                raise
            return "", ""

    def _noted(self) -> set[int]:
        """The ranges that an earlier attempt left, if they are of this version."""
        try:
            with open(self.notes) as notes:
                lines = notes.read().splitlines()
            same = json.loads(lines[0]) == self._described() and os.path.exists(self.part)
            return {int(line) for line in lines[1:] if line.isdigit()} if same else set()
        except (OSError, ValueError, IndexError):
            return set()

    def _described(self) -> list[object]:
        return [self.version, self.size, self.range_bytes]

    def _forget(self) -> None:
        for path in (self.part, self.notes):
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _range(self, descriptor: int, start: int) -> None:
        end = min(start + self.range_bytes, self.size or 0)
        at = start

        def attempt() -> None:
            nonlocal at
            with opened(self.remote.url, self.remote.headers, at, end) as response:
                if response.status != 206:
                    raise TransientError(f"{self.remote.path}: a range was not answered with one")
                while at < end and (chunk := response.read(min(_CHUNK_BYTES, end - at))):
                    os.pwrite(descriptor, chunk, at)
                    at += len(chunk)
                    self.progress.add(len(chunk))
            if at < end:
                raise TransientError(f"{self.remote.path} ended early")

        retried(attempt, self.until, lambda: at)
        os.fsync(descriptor)
        with self.lock, open(self.notes, "a") as notes:
            notes.write(f"{start}\n")

    def _stream(self) -> None:
        with (
            opened(self.remote.url, self.remote.headers) as response,
            open(self.part, "wb") as part,
        ):
            length = response.headers.get("Content-Length", "")
            count = 0
            while chunk := response.read(_CHUNK_BYTES):
                part.write(chunk)
                count += len(chunk)
                self.progress.add(len(chunk))
        if length.isdigit() and count != int(length):
            self.progress.add(-count)
            raise TransientError(f"{self.remote.path} ended early")


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
