# SPDX-License-Identifier: Apache-2.0
"""`fetch`, `inputs` and `list`: what a pod's other containers need; for init containers.

`fetch URI TARGET` copies a file or a folder there. `inputs --inputs URI DIRECTORY` writes a task's
inputs as DIRECTORY/inputs.json, with each file or folder among them at DIRECTORY/NAME. `list URI`
prints the objects at a place in an object store, as JSON: path, uri, size_bytes and version of
each.
"""

from __future__ import annotations

import os
import sys

from .errors import (
    EXIT_CODES,
    EntrypointError,
    InputsCorruptError,
    InputsMissingError,
    UnsupportedError,
)
from .inputs import read_file
from .storage import SCHEMES, redacted, scheme_of, storage_for, without_secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .contract import Command

INPUTS_FILE = "inputs.json"


def deliver(command: Command) -> int:
    from . import signals

    signals.set_handler(signals.SIGTERM, lambda number, _: os._exit(128 + number))
    try:
        if command.verb == "fetch":
            copy(*command.arguments)
        elif command.verb == "list":
            sys.stdout.write(listed(command.arguments[0]))
        else:
            write_inputs(str(command.options["inputs"]), command.arguments[0])
    except EntrypointError as error:
        sys.stderr.write(f"imagekit: {redacted(str(error))}\n")
        return EXIT_CODES[error.outcome]
    return EXIT_CODES["ok"]


def copy(uri: str, target: str) -> None:
    """Put what is at the URI at the target, which has its name when it is whole."""
    import shutil

    partial = f"{target.rstrip('/')}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        found = storage_for(uri).fetch(uri)
        os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
        if scheme_of(uri) not in ("", "file"):
            shutil.move(found, partial)
        elif os.path.isdir(found):
            shutil.copytree(found, partial)
        else:
            shutil.copyfile(found, partial)
        os.rename(partial, target)
    except OSError as error:
        raise InputsMissingError(
            f"fetching {without_secrets(uri)}: {error.strerror or error}"
        ) from error


def listed(uri: str) -> str:
    """Raises InputsMissingError where there is nothing, UnsupportedError for other schemes."""
    from json import dumps

    if SCHEMES.get(scheme_of(uri)) != "objects":
        raise UnsupportedError(f"{without_secrets(uri)} is in no object store")
    from .storage.objects import listing

    try:
        return dumps(listing(uri)) + "\n"
    except OSError as error:
        raise InputsMissingError(
            f"listing {without_secrets(uri)}: {error.strerror or error}"
        ) from error


def write_inputs(uri: str, directory: str) -> None:
    """Raises InputsMissingError or InputsCorruptError."""
    from json import dumps

    os.makedirs(directory, exist_ok=True)
    values = {name: _placed(name, value, directory) for name, value in _values(uri).items()}
    partial = os.path.join(directory, f".{INPUTS_FILE}.partial")
    with open(partial, "w", encoding="utf-8") as file:
        file.write(dumps(values))
    os.rename(partial, os.path.join(directory, INPUTS_FILE))


def _values(uri: str) -> dict[str, Any]:
    from .wire.plain import plain
    from .wire.protobuf import WireError

    try:
        return {
            name: plain(value) if form == "literal" else value
            for name, (form, value) in read_file(uri).items()
        }
    except WireError as error:
        raise InputsCorruptError(f"reading {without_secrets(uri)}: {error}") from error


def _placed(name: str, value: Any, directory: str) -> Any:
    """A file or folder is fetched, and its value is where it now is."""
    if not isinstance(value, dict) or set(value) - {"sha256"} != {"path"}:
        return value
    if "/" in name or name in (".", "..", INPUTS_FILE):
        raise InputsCorruptError(f"an input is called {name!r:.100}")
    target = os.path.join(directory, name)
    copy(str(value["path"]), target)
    return {"path": target}
