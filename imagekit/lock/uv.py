# SPDX-License-Identifier: Apache-2.0
"""Running uv's resolver for a machine that is not this one.

Index addresses go through the environment, as they may hold credentials and argument lists are
public. The user's own uv configuration stays in force: it knows indexes and credentials that a
spec should not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
import uv
from packaging.utils import canonicalize_name

from imagekit.errors import LockError
from imagekit.lock.model import LockedWheel, Target
from imagekit.urls import masked
from imagekit.values import frozen

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The glibc versions that `uv pip compile --python-platform` knows; all since uv 0.8.
_GLIBC_MINORS = (17, 28, *range(31, 41))
_NO_WHEEL = re.compile(r"Wheels are required for `([^`]+)`")
_CHAINED = re.compile("depends? on")
_FINDING = threading.Lock()
"""Until Python 3.12, `sysconfig` tells a second thread nothing while it begins in a first one."""


@frozen
class Request:
    """What uv is asked: requirements as text and as a file, for whom, and from where.

    `preferences` are the versions to keep where they still fit; `pins` are requirements of one
    exact version each, which stand against whatever packages say of each other, and `options` are
    the spec's own; `constraints` bind what is asked for, and ask for nothing; `may_build` are the
    names of those that are taken from source alone, and None leaves that choice to uv.
    """

    packages: Sequence[str]
    requirements: Path | None
    target: Target
    default_index: str | None
    indexes: Sequence[str]
    preferences: Sequence[LockedWheel]
    folder: Path
    pins: Sequence[str] = ()
    options: Sequence[str] = ()
    constraints: Sequence[str] = ()
    may_build: frozenset[str] | None = frozenset()


class NoWheelError(LockError):
    """`names` are packages of which the target takes no wheel, but there is source."""

    def __init__(self, message: str, names: frozenset[str], *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.names = names


def version() -> str:
    import importlib.metadata  # noqa: PLC0415 - slow, and builders look for the program alone

    return importlib.metadata.version("uv")


def compile_packages(request: Request, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """The `packages` of the pylock.toml that uv makes: each with all wheels that fit.

    Raises:
        LockError: with uv's own explanation.
    """
    with tempfile.TemporaryDirectory(prefix="imagekit-lock-") as name:
        scratch = Path(name)
        output = scratch / "pylock.toml"
        if request.preferences:
            output.write_text(tomli_w.dumps(_preferences(request.preferences)), encoding="utf-8")
        inputs = scratch / "packages.txt"
        inputs.write_text("".join(f"{text}\n" for text in request.packages), encoding="utf-8")
        sources = [inputs] if request.requirements is None else [inputs, request.requirements]
        options = []
        if request.pins:
            pins = scratch / "pins.txt"
            pins.write_text("".join(f"{text}\n" for text in request.pins), encoding="utf-8")
            sources.append(pins)
            options = ["--override", str(pins)]
        if request.constraints:
            constraints = scratch / "constraints.txt"
            lines = "".join(f"{text}\n" for text in request.constraints)
            constraints.write_text(lines, encoding="utf-8")
            options += ["--constraints", str(constraints)]
        command = [*_command(request, sources, output), *options]
        _run(command, request, environ)
        return _packages(output)


def question(request: Request, environ: Mapping[str, str]) -> tuple[Hashable, ...]:
    """All that uv's answer depends on. The folder counts where its files do."""
    texts = [*request.packages, *request.constraints, *request.indexes, request.default_index or ""]
    here = request.requirements or request.options or any(map(_may_be_path, texts))
    return (
        request.folder.absolute() if here else _configured_by(request.folder.absolute()),
        request.requirements,
        request.target.python_version,
        python_platform(request.target),
        *map(tuple, (request.packages, request.pins, request.constraints, request.options)),
        (request.default_index, *request.indexes),
        tuple((wheel.name, wheel.version) for wheel in request.preferences),
        request.may_build,
        frozenset(environ.items()),
    )


def _may_be_path(text: str) -> bool:
    return ("/" in text and "://" not in text) or "file:" in text


def _configured_by(folder: Path) -> Path | None:
    """Where uv begins to look for its configuration: the nearest folder that may hold some."""
    names = ("uv.toml", "pyproject.toml")
    places = (folder, *folder.parents)
    return next((each for each in places if any((each / name).exists() for name in names)), None)


def variables(
    environ: Mapping[str, str], default_index: str | None, indexes: Sequence[str]
) -> dict[str, str]:
    """`environ` with where uv finds packages; index addresses may hold credentials."""
    found = dict(environ)
    if default_index is not None:
        found["UV_DEFAULT_INDEX"] = default_index
    if indexes:
        found["UV_INDEX"] = " ".join([*indexes, environ.get("UV_INDEX", "")]).strip()
    return found


def python_platform(target: Target) -> str:
    """The target as uv names it: the newest glibc that it knows and the base has."""
    fitting = [minor for minor in _GLIBC_MINORS if minor <= target.glibc_minor]
    if not fitting:
        raise LockError(
            f"the base's glibc {target.glibc} is too old for any wheel",
            hint="2.17 is the oldest that works",
        )
    return f"{target.machine}-manylinux_2_{fitting[-1]}"


def _command(request: Request, sources: Sequence[Path], output: Path) -> list[str]:
    target = request.target
    return [
        program(),
        "pip",
        "compile",
        *(str(path.absolute()) for path in sources),
        "--format=pylock.toml",
        f"--output-file={output}",
        f"--python-version={target.python_version}",
        f"--python-platform={python_platform(target)}",
        # Any interpreter does: markers come from the two lines above.
        f"--python={sys.executable}",
        "--no-python-downloads",
        *_builds(request.may_build),
        *request.options,
        "--no-progress",
        "--color=never",
    ]


def _builds(names: frozenset[str] | None) -> list[str]:
    if names is None:
        return []
    return ["--only-binary=:all:", *(f"--no-binary={name}" for name in sorted(names))]


def program() -> str:
    """The path of uv's program.

    Raises:
        LockError: it is missing.
    """
    try:
        with _FINDING:
            return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise LockError(
            "uv's program is missing", hint="install the package uv from the same index"
        ) from error


def _run(command: Sequence[str], request: Request, environ: Mapping[str, str]) -> None:
    found = variables(environ, request.default_index, request.indexes)
    result = subprocess.run(
        command,
        cwd=request.folder,
        env=found,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if result.returncode:
        raise _explained(result.stderr.decode(errors="replace"), request.target)


def _explained(stderr: str, target: Target) -> LockError:
    """What uv says, without its warnings, advice that is no help here, and anything secret."""
    text = masked(stderr)
    unwanted = ("warning:", "hint: Wheels are required")
    lines = [line for line in text.splitlines() if not line.startswith(unwanted)]
    explanation = "\n".join(lines).strip().removeprefix("error: ")
    python = ".".join(map(str, target.python_minor))
    place = f"{target.platform}, Python {python}, glibc {target.glibc}"
    names = frozenset(map(canonicalize_name, _NO_WHEEL.findall(text)))
    if not names:
        message = f"uv could not resolve the packages: {explanation}"
        return LockError(message, hint=f"resolved for {place}")
    listed = ", ".join(sorted(names))
    message = f"{listed}: only source, no wheel for {place}, of any version that fits"
    if _CHAINED.search(explanation):  # others ask for them, or decide which versions fit
        message += f"\n{explanation}"
    hint = f"`allow_build: [{listed}]` has it built here, or name a version that has a wheel"
    return NoWheelError(message, names, hint=hint)


def _packages(output: Path) -> list[dict[str, Any]]:
    packages: list[dict[str, Any]] = tomllib.loads(output.read_text(encoding="utf-8"))["packages"]
    for package in packages:
        for entry in (*package.get("wheels", ()), package.get("archive", {})):
            if "path" in entry:  # relative to the file, which is about to go away
                place = output.parent / entry.pop("path")
                entry["url"] = Path(os.path.normpath(place)).as_uri()
    return packages


def _preferences(wheels: Sequence[LockedWheel]) -> dict[str, Any]:
    return {
        "lock-version": "1.0",
        "created-by": "imagekit",
        "packages": [{"name": wheel.name, "version": wheel.version} for wheel in wheels],
    }
