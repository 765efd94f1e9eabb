# SPDX-License-Identifier: Apache-2.0
"""Bytecode made by the interpreter that will read it: the base's own, run without root.

The unpacked base needs no namespace for this: its dynamic loader is started by path, with the
base's library folders, and starts the base's interpreter. The .pyc files are hash-based and
unchecked (PEP 552), so their bytes depend on the source alone.
"""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, final

from imagekit.errors import BuildError

_LOADERS = {
    "x86_64": "lib64/ld-linux-x86-64.so.2",
    "aarch64": "lib/ld-linux-aarch64.so.1",
}
_FAILED = 0xFFFFFFFF
_WORKERS = os.cpu_count() or 1
_TURNS = threading.BoundedSemaphore(_WORKERS)
"""Of all images that are built at once: each batch takes a process, and its memory."""
_BATCH_FILES = 256
_BATCH_BYTES = 4 << 20
_SERVER = Path(__file__).with_name("compile_server.py")


@final
class BytecodeCompiler:
    """A running interpreter of the base; use as a context manager. Threads may share it.

    Args:
        root: the unpacked base.
        python: its interpreter, an absolute path inside the base; links on the way are followed
            as they would be inside.
    """

    def __init__(self, root: Path, python: str) -> None:
        self._root = root
        self._python = python
        self.cache_tag = ""

    def __enter__(self) -> BytecodeCompiler:
        self._workers = ThreadPoolExecutor(_WORKERS)
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(
                    self._command(),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env=self._environment(),
                )
            except OSError as error:
                self._control.close()
                raise self._failed(error.strerror or str(error)) from error
        greeting = self._control.recv(64, socket.MSG_WAITALL)
        if len(greeting) < 64:
            raise self._failed(self._stop().strip().rpartition("\n")[2])
        self.cache_tag = greeting.decode().strip()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def compile(self, sources: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes | None]]:
        """Compile in batches, each in a process of its own; batches follow from `sources` alone.

        Args:
            sources: paths in the image, without a leading slash, and what the files hold.

        Yields:
            In the same order, the .pyc's path in the image, and its bytes, or None where the
            source does not compile.
        """
        running: deque[Future[list[tuple[str, bytes | None]]]] = deque()
        for batch in _batches(sources):
            running.append(self._workers.submit(self._compile_batch, batch))
            if len(running) > _WORKERS:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()

    def _compile_batch(self, batch: list[tuple[str, bytes]]) -> list[tuple[str, bytes | None]]:
        ours, theirs = socket.socketpair()
        with _TURNS, ours, theirs:
            socket.send_fds(self._control, [b"x"], [theirs.fileno()])
            theirs.close()
            ours.sendall(_request(batch))
            with ours.makefile("rb") as reader:
                answers = [self._answer(reader, path) for path, _ in batch]
                reader.read()  # until the process has gone, and its memory with it
        return [
            (self._pyc_path(path), each) for (path, _), each in zip(batch, answers, strict=True)
        ]

    def _pyc_path(self, path: str) -> str:
        folder, slash, name = path.rpartition("/")
        return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.{self.cache_tag}.pyc"

    def _answer(self, reader: BinaryIO, path: str) -> bytes | None:
        head = reader.read(4)
        length = int.from_bytes(head, "big")
        if len(head) == 4 and length == _FAILED:
            return None
        body = reader.read(length)
        if len(head) < 4 or len(body) < length:
            raise BuildError(f"compiling {path}: the base's interpreter died")
        return body

    def _stop(self) -> str:
        self._workers.shutdown(cancel_futures=True)
        self._control.close()
        _, errors = self._process.communicate()
        return errors.decode(errors="replace")

    def _command(self) -> list[str]:
        machine = platform.machine()
        loader = _LOADERS[machine]
        python = inside(self._root, self._python)
        folders = library_folders(machine)
        libraries = ":".join(str(inside(self._root, folder)) for folder in folders)
        options = ["-s", "-S", "-B", "-W", "ignore"]
        loader_path = str(inside(self._root, loader))
        return [loader_path, "--library-path", libraries, str(python), *options, str(_SERVER)]

    def _environment(self) -> dict[str, str]:
        home = inside(self._root, self._python).parent.parent
        return {
            "PYTHONHOME": str(home),
            "PYTHONHASHSEED": "0",
            "LC_ALL": "C.UTF-8",
            # The base's own bytecode is not read: it is no part of what names the interpreter.
            "PYTHONPYCACHEPREFIX": os.devnull,
        }

    def _failed(self, reason: str) -> BuildError:
        return BuildError(
            f"starting the base's {self._python} to compile bytecode: {reason}",
            hint="`compile_bytecode: false` in the spec builds without it",
        )


def _request(batch: list[tuple[str, bytes]]) -> bytes:
    """As compile_server.py reads it: all at once, so that its process never waits for ours."""
    parts = [len(batch).to_bytes(4, "big")]
    for path, source in batch:
        for part in (b"/" + path.encode("utf-8", "surrogateescape"), source):
            parts += [len(part).to_bytes(4, "big"), part]
    return b"".join(parts)


def _batches(sources: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    batch: list[tuple[str, bytes]] = []
    size_bytes = 0
    for path, source in sources:
        batch.append((path, source))
        size_bytes += len(source)
        if len(batch) == _BATCH_FILES or size_bytes >= _BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def library_folders(machine: str) -> tuple[str, ...]:
    """Where an interpreter's libraries are looked for in a base, in this order; relative to it."""
    triplet = f"{machine}-linux-gnu"
    usual = ("usr/lib64", "lib64", "usr/lib", "lib")
    return ("usr/local/lib", f"usr/lib/{triplet}", f"lib/{triplet}", *usual)


def inside(root: Path, path: str) -> Path:
    """Where `path` leads inside `root`, symbolic links read as a process in there reads them."""
    pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    reached: list[str] = []
    for _ in range(10_000):
        if not pending:
            return root.joinpath(*reached)
        part = pending.pop()
        if part == "..":
            reached = reached[:-1]
            continue
        try:
            target = os.readlink(root.joinpath(*reached, part))
        except OSError:
            reached.append(part)
            continue
        if target.startswith("/"):
            reached = []
        pending += [step for step in reversed(target.split("/")) if step not in ("", ".")]
    raise BuildError(f"{path}: too many symbolic links in the base")
