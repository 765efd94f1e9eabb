# SPDX-License-Identifier: Apache-2.0
"""Notes which files and folders this process reads, and how they were just before.

It listens to the interpreter's audit events (PEP 578), so it misses nothing that Python code opens
or lists, whichever part of imagekit does it. Left out is what other things stand for: caches, which
are addressed by content, and the interpreter's own library.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from imagekit import xdg
from imagekit.receipts.reading import ABSENT, content_state, file_state, folder_state

_TICK_NS = 20_000_000
"""Kernels stamp files with the time of their last tick, 10 ms ago at most."""

_SECOND_NS = 1_000_000_000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_SYSTEM = ("/dev/", "/proc/", "/sys/")


class Watch:
    """`files` and `folders` by absolute path; `unsettled` names what another change may hide in."""

    def __init__(self, arguments: Sequence[str], left_out: Sequence[str]) -> None:
        self.arguments = arguments
        self.files: dict[str, str] = {}
        self.folders: dict[str, str] = {}
        self.unsettled: list[str] = []
        self._left_out = (*_SYSTEM, *(f"{folder}/" for folder in left_out))
        self._began_ns = time.time_ns()

    def opened(self, path: str) -> None:
        if path in self.files or path.startswith(self._left_out) or _named_by_content(path):
            return
        if os.path.isdir(path):  # whoever opens a folder may list it through its descriptor
            self.listed(path)
            return
        state = file_state(path)
        if not _settled(state, time.time_ns()):
            self.unsettled.append(path)
        self.files[path] = state

    def listed(self, path: str) -> None:
        if path not in self.folders and not f"{path}/".startswith(self._left_out):
            self.folders[path] = folder_state(path)

    def took(self, path: str, data: bytes) -> None:
        """Take a file by the content that counts, whenever it was written."""
        self.files[path] = content_state(data)
        self.unsettled = [each for each in self.unsettled if each != path]

    def forget(self, folders: Iterable[str]) -> None:
        """Drop folders that this process has written, and that are looked at apart."""
        inside = tuple(f"{folder}/" for folder in folders)
        self.files = {x: state for x, state in self.files.items() if not x.startswith(inside)}
        self.folders = {x: s for x, s in self.folders.items() if not f"{x}/".startswith(inside)}
        self.unsettled = [each for each in self.unsettled if not each.startswith(inside)]

    def loaded(self) -> dict[str, str]:
        """The files of all modules that are loaded and not the interpreter's own."""
        found = {}
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if path and not path.startswith(_LIBRARY):
                found[path] = file_state(path)
                if not _settled(found[path], self._began_ns - _SECOND_NS):
                    self.unsettled.append(path)
        return found


_LIBRARY = (f"{os.path.dirname(os.__file__)}/",)
_watch: Watch | None = None
_busy: set[int] = set()


def begin(arguments: Sequence[str]) -> None:
    """Watch this process, which carries out `arguments`, from now on."""
    global _watch  # noqa: PLW0603 - a hook is the process's, and stays
    if _watch is None:
        sys.addaudithook(_heard)
    kinds = (xdg.CACHE, xdg.DATA, xdg.STATE)
    ours = [os.path.abspath(xdg.folder(os.environ, kind)) for kind in kinds]
    _watch = Watch(arguments, [*ours, os.path.dirname(os.__file__)])


def current() -> Watch | None:
    """What was begun; None in a process that is not watched."""
    return _watch


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    watch = _watch
    if watch is None or event not in ("open", "os.listdir", "os.scandir"):
        return
    thread = threading.get_ident()
    if thread in _busy:
        return
    _busy.add(thread)
    try:
        path = _absolute(arguments[0])
        if path is None:
            return
        if event != "open":
            watch.listed(path)
        elif not arguments[2] & _WRITES:
            watch.opened(path)
    finally:
        _busy.discard(thread)


def _absolute(path: object) -> str | None:
    if path is None:
        return os.getcwd()
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    return os.path.abspath(os.fsdecode(path))


def _named_by_content(path: str) -> bool:
    """Blobs, which readers check; and compiled modules, whose sources `loaded` names."""
    return "/blobs/sha256/" in path or path.endswith(".pyc")


def _settled(state: str, now_ns: int) -> bool:
    """Whether a change that came after would bear another time."""
    if state == ABSENT:
        return True
    changed_ns = int(state.split()[3])
    coarse = changed_ns % _SECOND_NS == 0  # a file system that counts in seconds
    return changed_ns < now_ns - (2 * _SECOND_NS if coarse else _TICK_NS)
