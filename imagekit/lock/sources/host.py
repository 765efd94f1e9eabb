# SPDX-License-Identifier: Apache-2.0
"""Whether this machine can build for a target: platform, Python version and C library agree."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from pathlib import Path

from imagekit.errors import LockError
from imagekit.lock import uv
from imagekit.lock.model import MACHINES, Target


def glibc() -> str:
    """This machine's, as `2.36`; empty where it has another C library."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        return ""
    return version if name == "glibc" else ""


def refuse_other_platforms(what: str, platforms: tuple[str, ...]) -> None:
    """Raise LockError unless this machine is one of `platforms`."""
    machine = platform.machine()
    here = next((name for name, known in MACHINES.items() if known == machine), machine)
    if not glibc():
        raise LockError(
            f"{what} has to be built, and this machine's C library is not glibc, the image's is",
            hint="lock on a machine with glibc, or name a version that has a wheel",
        )
    if here not in platforms:
        raise LockError(
            f"{what} has to be built, which this machine ({here}) can't do for "
            f"{', '.join(platforms)}",
            hint="lock and build on such a machine, or name a version that has a wheel",
        )


def refuse_foreign_wheel(what: str, filename: str, target: Target) -> None:
    """Raise LockError where a wheel that was built here would not run on `target`.

    One that names no machine runs everywhere.
    """
    tag = filename.removesuffix(".whl").rpartition("-")[2]
    if tag == "any":
        return
    if not tag.endswith(target.machine):
        raise LockError(
            f"{what}: built here it is {filename}, which does not run on {target.platform}",
            hint=f"name a version that has a wheel for {target.platform}, or leave that out",
        )
    if _minor(glibc()) > target.glibc_minor:
        raise LockError(
            f"{what}: built here it needs glibc {glibc()}, and the base has {target.glibc}",
            hint="lock on a machine whose system is as old as the base, or take a newer base",
        )


@functools.cache
def find_python(minor: tuple[int, int]) -> Path:
    """This machine's interpreter of that version.

    Raises:
        LockError: it has none.
    """
    if sys.version_info[:2] == minor and sys.implementation.name == "cpython":
        return Path(sys.executable)
    version = f"{minor[0]}.{minor[1]}"
    command = [uv.program(), "python", "find", "--no-python-downloads", "--no-project"]
    found = subprocess.run(
        [*command, f"cpython@{version}"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise LockError(
            f"building for Python {version} needs it on this machine, and there is none",
            hint=f"install it, for instance by `uv python install {version}`",
        )
    return Path(found.stdout.strip())


def _minor(version: str) -> int:
    return int(version.split(".")[1])
