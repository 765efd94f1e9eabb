# SPDX-License-Identifier: Apache-2.0
"""As much of a base as its interpreter needs to compile, unpacked once for all bases that have it.

A base may hold gigabytes beside its interpreter. What is left out can't change the bytecode: what
was unpacked has to come to the identity that the lock names (`lock/interpreter.py`).
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from posixpath import dirname

from imagekit.builders.compiling import unpacked_identity
from imagekit.errors import IntegrityError
from imagekit.files import exclusive
from imagekit.layers.bytecode import library_folders
from imagekit.lock.interpreter import FOLDERS, library_of
from imagekit.oci.digest import hexadecimal
from imagekit.oci.image import Image
from imagekit.oci.scratch import scratch_directory
from imagekit.oci.unpack import unpack
from imagekit.usage import used

_PROGRAMS = ("bin", "usr/bin", "usr/local/bin")


def interpreter_root(image: Image, python: str, identity: str, cache: Path) -> Path | None:
    """A root in the folder `cache` with the interpreter that has this identity.

    Args:
        image: a base that has it.
        python: its path there, absolute.
        identity: what the lock says that it is.
        cache: keeps roots.

    Returns:
        None where the parts that interpreters usually need don't come to that identity: links may
        lead elsewhere, or the base has another one than the lock says.
    """
    place = cache / f"interpreter-{hexadecimal(identity)}"
    with exclusive(cache.parent / "locks" / place.name):
        if used(place):
            return place / "root"
        with scratch_directory(cache) as work:
            (work / "root").mkdir()
            (work / "root").chmod(0o755)
            try:
                unpack(image, work / "root", wanted=_part(python))
            except IntegrityError:  # of what is left out, or of the whole, which is tried next
                return None
            if unpacked_identity(work / "root", python) != identity:
                return None
            work.rename(place)
    return place / "root"


def _part(python: str) -> Callable[[Sequence[bytes]], bool]:
    """Says of a path in the base whether the interpreter at `python` may need it.

    Folders come along with what is in them; links at the top are those of a merged /usr.
    """
    library = library_of(python).strip("/")
    modules = {f"{library}{folder}" for folder in FOLDERS}
    libraries = {*library_folders(platform.machine()), dirname(library)}
    programs = {*_PROGRAMS, dirname(python).strip("/")}
    on_the_way = {dirname(folder) for folder in libraries}

    def wanted(parts: Sequence[bytes]) -> bool:
        *above, name = (part.decode("utf-8", "surrogateescape") for part in parts)
        folder = "/".join(above)
        return (
            not above
            or (folder in modules and name.endswith((".py", ".so")))
            or (folder in libraries and ".so" in name)
            or (folder in programs and name.startswith("python"))
            or (folder in on_the_way and f"{folder}/{name}" in libraries)
        )

    return wanted
