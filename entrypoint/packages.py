# SPDX-License-Identifier: Apache-2.0
"""Packages that are installed when the container starts: pinned and with hashes, or not at all.

The list is complete, as a lock gives it: the installer adds nothing to it, builds nothing, and
refuses what has another hash. Indexes and credentials are the installer's own variables. The
packages go to a fresh directory, as the image may be read-only; there they come before the
image's, for the task and for the programs that it starts.
"""

from __future__ import annotations

import os
import re
import sys

from .contract import FLYTE_PACKAGES, INSTALLER, PACKAGES
from .errors import PackagesError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

_LINE = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==[^\s;,\[]+(?:\s+--hash=sha256:[0-9a-f]{64})+"
)
_NAME = re.compile(r"[A-Za-z0-9._-]*")
_INSTALLERS = {
    "uv": ("pip", "install", "--python", sys.executable, "--no-cache", "--no-progress"),
    "pip": ("install", "--no-cache-dir", "--no-input", "--disable-pip-version-check"),
}
SAID_LIMIT = 4000
_EXACTLY = ("--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes")


def install(environ: MutableMapping[str, str]) -> None:
    """Install what the environment asks for, and put it on the path.

    Raises:
        UnsupportedError: a package has no hash, or the image has no installer.
        PackagesError: the installer failed, and this is what it said.
    """
    text = environ.get(PACKAGES, "")
    names = {_pinned_name(line) for line in text.splitlines() if line.strip()}
    for word in environ.get(FLYTE_PACKAGES, "").split():
        _check_pinned(word, names)
    if not names:
        return
    from .storage import scratch

    target = scratch("runtime-packages")
    command = [*_command(environ), *_EXACTLY, "--target", target]
    _run(command, text, f"{target}.txt", environ)
    _extend_paths(target, environ)


def _pinned_name(line: str) -> str:
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise UnsupportedError(
            f"a line of {PACKAGES} is NAME==VERSION --hash=sha256:..., not {line.strip():.100}"
        )
    return _normalized(found[1])


def _check_pinned(word: str, names: set[str]) -> None:
    """Flyte names packages alone, which does not say what would be installed."""
    found = _NAME.match(word)
    if found is None or _normalized(found[0]) not in names:
        raise UnsupportedError(
            f"{FLYTE_PACKAGES} asks for {word:.100}, and {PACKAGES} has no version of it with "
            "hashes; nothing is installed without"
        )


def _normalized(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def _command(environ: Mapping[str, str]) -> list[str]:
    """The installer that is named, or else the first that the image has."""
    from importlib.util import find_spec
    from shutil import which

    named = environ.get(INSTALLER)
    for name in (named,) if named else _INSTALLERS:
        if name not in _INSTALLERS:
            raise UnsupportedError(f"{INSTALLER} is {' or '.join(_INSTALLERS)}, not {name:.40}")
        program = which(name, path=environ.get("PATH")) if name == "uv" else None
        if program is not None:
            return [program, *_INSTALLERS[name]]
        if find_spec(name) is not None:
            return [sys.executable, "-I", "-m", name, *_INSTALLERS[name]]
    lacking = named or " nor ".join(_INSTALLERS)
    raise UnsupportedError(
        f"{PACKAGES} needs an installer, and this image has no {lacking}; "
        "add uv or pip to the packages of its spec"
    )


def _run(command: list[str], text: str, path: str, environ: Mapping[str, str]) -> None:
    """Standard output stays the task's own."""
    import subprocess

    from .storage import redacted

    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    done = subprocess.run(
        [*command, "--requirement", path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environ),
        check=False,
    )
    said = redacted(done.stdout.decode(errors="replace").strip())
    if done.returncode != 0:
        shown = " ".join(command[: command.index("install") + 1])
        raise PackagesError(
            f"`{shown}` ended with status {done.returncode} on {PACKAGES}:\n{said[-SAID_LIMIT:]}"
        )
    if said:
        sys.stderr.write(f"{said}\n")


def _extend_paths(target: str, environ: MutableMapping[str, str]) -> None:
    """After the standard library; programs find it by PYTHONPATH, and its scripts by PATH."""
    sites = [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]
    sys.path.insert(sys.path.index(sites[0]) if sites else len(sys.path), target)
    for name, addition in (("PYTHONPATH", target), ("PATH", f"{target}/bin")):
        present = [environ[name]] if environ.get(name) else []
        environ[name] = os.pathsep.join([*present, addition])
