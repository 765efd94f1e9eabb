# SPDX-License-Identifier: Apache-2.0
"""Shows what a program in the image prints, while it does; secrets that it was given are hidden."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from imagekit.progress import Task

_PAUSE_SECONDS = 0.1
_HIDDEN = b"***"
_LEAST_SECRET_BYTES = 4
"""What is shorter would be found in too much that is no secret."""


@contextlib.contextmanager
def followed(path: Path, task: Task, secrets: Sequence[bytes]) -> Iterator[None]:
    """Give `task` what is appended to the file at `path` during the block, without `secrets`."""
    over = threading.Event()
    with path.open("rb") as stream:
        thread = threading.Thread(target=_follow, args=(stream, task, secrets, over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def secret_values(files: Sequence[str]) -> list[bytes]:
    """What must not be shown of secrets: the whole files, and each of their lines."""
    found: set[bytes] = set()
    for file in files:
        content = Path(file).read_bytes()
        found.update(part.strip() for part in (content, *content.splitlines()))
    return sorted((each for each in found if len(each) >= _LEAST_SECRET_BYTES), key=len)[::-1]


def hidden(text: bytes, secrets: Sequence[bytes]) -> bytes:
    """`text` without `secrets`; longer ones come first among them."""
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    return text


def _follow(stream: BinaryIO, task: Task, secrets: Sequence[bytes], over: threading.Event) -> None:
    pending = b""
    last = False
    while not last:
        # What was written before the end is read after it.
        last = over.wait(_PAUSE_SECONDS)
        pending += stream.read()
        # A secret may come in two pieces: lines are shown when they are whole.
        whole, newline, pending = pending.rpartition(b"\n")
        if whole or newline:
            task.output(hidden(whole + newline, secrets))
    task.output(hidden(pending, secrets))
