# SPDX-License-Identifier: Apache-2.0
"""Files for the worker: moby.filesync.v1.FileSync, whose packets are those of fsutil.

We announce every file in order, then an empty announcement. Meanwhile and after, the worker asks
for those that it lacks, by their number; each is sent in pieces and ends with an empty one. FIN
from the worker is answered by FIN.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

import grpc

from imagekit.buildkit.patterns import selected
from imagekit.buildkit.tree import Entry
from imagekit.errors import BuildError

STAT, REQ, DATA, FIN, ERR = range(5)
_FOLDER_BIT, _LINK_BIT = 1 << 31, 1 << 27  # Go's os.FileMode
_GO_BITS = ((0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20))


class FileSync:
    """Serves trees by name; a worker can ask for those and for nothing else of this machine."""

    def __init__(self, trees: Mapping[str, Sequence[Entry]]) -> None:
        self._trees = trees
        self.failure: BuildError | None = None
        """What went wrong on this side, for an error that the worker tells in its own words."""

    def diff_copy(
        self, requests: Iterator[dict[str, Any]], context: grpc.ServicerContext
    ) -> Iterator[dict[str, Any]]:
        """The call itself. Packets in, packets out."""
        options = _options(context)
        name = next(iter(options.get("dir-name", ())), "")
        if name not in self._trees:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no folder {name!r} in this build")
        entries = selected(
            self._trees[name],
            excluded=options.get("exclude-patterns", ()),
            included=options.get("include-patterns", ()),
            followed=options.get("followpaths", ()),
        )
        try:
            yield from _conversation(entries, requests)
        except BuildError as error:
            self.failure = error
            context.abort(grpc.StatusCode.ABORTED, error.message)


def stat_of(entry: Entry) -> dict[str, Any]:
    """What is announced of an entry."""
    mode = entry.mode & 0o777
    mode |= sum(go for unix, go in _GO_BITS if entry.mode & unix)
    if entry.is_folder:
        mode |= _FOLDER_BIT
    elif entry.target is not None:
        mode |= _LINK_BIT
    found: dict[str, Any] = {
        "path": _bytes(entry.path),
        "mode": mode,
        "size": entry.size_bytes,
        "modtime": entry.time_nanoseconds,
    }
    if entry.target is not None:
        found["linkname"] = _bytes(entry.target)
    return found


def _conversation(
    entries: Sequence[Entry], requests: Iterator[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    asked: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    # Questions are taken off the wire while files are announced, or both sides would wait.
    threading.Thread(target=_listen, args=(requests, asked), daemon=True).start()
    for entry in entries:
        yield {"type": STAT, "stat": stat_of(entry)}
    yield {"type": STAT}
    while (packet := asked.get()) is not None:
        kind, number = packet.get("type", STAT), packet.get("ID", 0)
        if kind == FIN:
            yield {"type": FIN}
            return
        if kind == ERR:
            raise BuildError(f"the worker: {packet.get('data', b'').decode(errors='replace')}")
        if kind == REQ:
            if number >= len(entries) or not entries[number].is_file:
                raise BuildError(f"the worker asks for file {number}, which is none")
            for chunk in entries[number].chunks():
                yield {"type": DATA, "ID": number, "data": chunk}
            yield {"type": DATA, "ID": number}


def _listen(
    requests: Iterator[dict[str, Any]], asked: queue.SimpleQueue[dict[str, Any] | None]
) -> None:
    try:
        for packet in requests:
            asked.put(packet)
    except Exception:  # noqa: BLE001, S110 - the call has ended, however it did
        pass
    finally:
        asked.put(None)


def _options(context: grpc.ServicerContext) -> dict[str, list[str]]:
    """The call's metadata; values that are no ASCII come quoted, which another entry says."""
    found: dict[str, list[str]] = {}
    for name, value in context.invocation_metadata():
        if isinstance(value, str):
            found.setdefault(name, []).append(value)
    encoded = [name for name in found if found.get(f"{name}-encoded") == ["1"]]
    return found | {name: [unquote_plus(value) for value in found[name]] for name in encoded}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
