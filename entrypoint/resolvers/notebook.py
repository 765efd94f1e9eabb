# SPDX-License-Identifier: Apache-2.0
"""`entity-name N`: the task N that a notebook pickled into pkl.gz.

That stands in the bundle's directory, or else in the working directory.
"""

from __future__ import annotations

import os
import sys

from ..contract import running
from ..errors import InputsMissingError, ResolverError
from ..pickles import unpickled, verified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PICKLE = "pkl.gz"


def load_task(loader_args: list[str]) -> Any:
    if len(loader_args) != 2 or loader_args[0] != "entity-name":
        raise ResolverError(
            f"expected `entity-name N` after --, got `{' '.join(loader_args):.200}`"
        )
    compressed = _read()
    verified(compressed, PICKLE)
    entities = _entities(unpickled(_unzipped(compressed), PICKLE))
    if loader_args[1] not in entities:
        from ..suggest import suggestion

        hint = suggestion(loader_args[1], [str(name) for name in entities])
        raise ResolverError(f"{PICKLE} has no {loader_args[1]!r:.100}{hint}")
    return entities[loader_args[1]]


def _read() -> bytes:
    directory = (running[0].options.get("dest-dir") if running else None) or os.curdir
    path = os.path.join(directory, PICKLE)
    try:
        with open(path if os.path.exists(path) else PICKLE, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputsMissingError(f"reading {path}: {error.strerror}") from error


def _unzipped(compressed: bytes) -> bytes:
    import gzip
    import zlib

    try:
        return gzip.decompress(compressed)
    except (OSError, EOFError, zlib.error) as error:
        raise ResolverError(f"{PICKLE} is not gzip: {error}") from error


def _entities(pickled: Any) -> dict[str, Any]:
    """Flyte's PickledEntity, known by its attributes."""
    made_by = getattr(getattr(pickled, "metadata", None), "python_version", None)
    entities = getattr(pickled, "entities", None)
    if not isinstance(made_by, str) or not isinstance(entities, dict):
        raise ResolverError(f"{PICKLE} holds a {type(pickled).__qualname__}, no pickled entities")
    ours = [str(number) for number in sys.version_info[:2]]
    if made_by.split(".")[:2] != ours:
        raise ResolverError(
            f"{PICKLE} was made by Python {made_by:.20}; this image has {'.'.join(ours)}"
        )
    return entities
