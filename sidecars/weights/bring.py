# SPDX-License-Identifier: Apache-2.0
"""A source's files into a folder that is there whole or not at all, however many pods want it.

All is done in `.NAME.partial` beside it, which gets its name at the end. Whoever has the lock on
`.NAME.lock` works and the others wait, so a pod that was killed leaves its part to the next. Where
the file system has no locks, each pod works in a folder of its own, and the first to end wins.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from ..errors import FilesError
from .download import RANGE_BYTES, download
from .layers import unpack, unpacked
from .objects import fetch_objects
from .remote import Remote, wanted
from .room import bytes_in, check_room
from .sources import OBJECTS, Listing, listing_of
from .web import StatusError

NOTE = ".imagekit-files.json"
"""In a folder that is whole: the exact source, and the sha256 of every file."""
_UNLOCKABLE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_PAUSE_SECONDS = 1.0
Say = Callable[[str], None]


def bring(
    description: Mapping[str, Any],
    into: str,
    environment: Mapping[str, str],
    until: float,
    say: Say,
    *,
    range_bytes: int = RANGE_BYTES,
) -> dict[str, str]:
    """Have the files of `description` (see ModelFiles) in the folder `into`, and give their sha256.

    A folder that is there is taken as it is. Raises FilesError, or OSError of the disk.
    """
    into = os.path.abspath(into)
    parent, name = os.path.split(into)
    os.makedirs(parent, exist_ok=True)
    with _alone(os.path.join(parent, f".{name}.lock"), until, say) as is_alone:
        if (there := noted(into)) is not None:
            say(f"{into} is there")
            return there
        own = "" if is_alone else f".{os.uname().nodename}-{os.getpid()}"
        partial = os.path.join(parent, f".{name}.partial{own}")
        os.makedirs(partial, exist_ok=True)
        say(f"fetching {_public(description['source'])} into {into}")
        exact, found = _fetched(description, partial, environment, until, say, range_bytes)
        _check_lock(description, found, partial)
        shutil.rmtree(os.path.join(partial, ".layers"), ignore_errors=True)
        with open(os.path.join(partial, NOTE), "w") as note:
            note.write(json.dumps({"source": exact, "files": found}, sort_keys=True))
            note.flush()
            os.fsync(note.fileno())
        return _named(partial, into)


def noted(folder: str) -> dict[str, str] | None:
    """The files of a whole folder with their sha256; None if it is not there."""
    with suppress(OSError, ValueError, KeyError), open(os.path.join(folder, NOTE)) as note:
        return dict(json.load(note)["files"])
    return None


def _named(partial: str, into: str) -> dict[str, str]:
    try:
        os.rename(partial, into)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if noted(into) is None:
            raise FilesError(f"{into} is there, and nothing that was fetched by us") from error
        shutil.rmtree(partial, ignore_errors=True)
    return noted(into) or {}


@contextmanager
def _alone(path: str, until: float, say: Say) -> Iterator[bool]:
    """Whether nobody else works: False where that can't be known."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        while (locked := _locked(descriptor)) is False:
            if time.monotonic() > until:
                raise FilesError(f"another pod still holds {path}")
            say("another pod is fetching these files: waiting for it")
            time.sleep(_PAUSE_SECONDS)
        yield locked is True
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool | None:
    """None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _UNLOCKABLE:
            return None
        raise
    return True


def _fetched(
    description: Mapping[str, Any],
    folder: str,
    environment: Mapping[str, str],
    until: float,
    say: Say,
    range_bytes: int,
) -> tuple[str, dict[str, str]]:
    lock = description.get("lock")
    source = str(lock["source"] if lock else description["source"])
    if source.partition("://")[0] in OBJECTS:
        return source, fetch_objects(source, folder, description, environment, until, say)
    before = -1
    while True:
        listing = listing_of(source, environment, until)
        try:
            return listing.exact, _listed(listing, folder, description, until, say, range_bytes)
        except StatusError as error:
            # A registry's token lives for minutes; what has come already is not asked for again.
            size = bytes_in(folder)
            if error.status != 401 or size <= before:
                raise
            before = size


def _listed(
    listing: Listing,
    folder: str,
    description: Mapping[str, Any],
    until: float,
    say: Say,
    range_bytes: int,
) -> dict[str, str]:
    lock, include = description.get("lock"), description.get("include", ())
    pins = {each["path"]: each for each in lock["files"]} if lock else {}
    files = [each for each in listing.files if each.is_tar or wanted(each.path, include)]
    if pins:
        files = [_pinned(each, pins) for each in files if each.is_tar or each.path in pins]
    if not files:
        raise FilesError(f"{_public(listing.exact)} has no file that is wanted")
    total = sum(each.size_bytes or 0 for each in files)
    check_room(total, folder, description.get("room_bytes"))
    known = {each.path: unpacked(os.path.join(folder, each.path), folder) for each in files}
    missing = [each for each in files if known[each.path] is None]
    found = download(missing, folder, until, say, range_bytes)
    for each in files:
        if each.is_tar:
            found.pop(each.path, None)
            found |= known[each.path] or unpack(os.path.join(folder, each.path), folder, include)
    return found


def _pinned(remote: Remote, pins: Mapping[str, Mapping[str, Any]]) -> Remote:
    if remote.is_tar:
        return remote
    pin = pins[remote.path]
    return Remote(
        path=remote.path,
        url=remote.url,
        headers=remote.headers,
        size_bytes=pin["size_bytes"],
        sha256=pin["sha256"],
    )


def _check_lock(description: Mapping[str, Any], found: Mapping[str, str], folder: str) -> None:
    """Every file that is locked is there, is what it was, and is alone; another one goes."""
    lock = description.get("lock")
    if lock is None:
        return
    pins = {each["path"]: each["sha256"] for each in lock["files"]}
    if missing := sorted(set(pins) - set(found)):
        raise FilesError(f"the source no longer has {', '.join(missing)}")
    if changed := sorted(path for path in pins if pins[path] != found[path]):
        for path in changed:
            os.unlink(os.path.join(folder, path))
        raise FilesError(f"not the files of the lock: {', '.join(changed)}")
    if more := sorted(set(found) - set(pins)):
        raise FilesError(f"the lock knows nothing of {', '.join(more)}")


def _public(source: str) -> str:
    return source.partition("?")[0]
