# SPDX-License-Identifier: Apache-2.0
"""What a run leaves under its output prefix: outputs, or an error document, never both.

outputs.pb is the commit record: it is written last, when all that it names is complete.
"""

from __future__ import annotations

from .errors import OutputsError
from .storage import join, storage_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .wire.protobuf import Message

OUTPUTS = "outputs.pb"
OUTPUTS_JSON = "outputs.json"
FUTURES = "futures.pb"
ERROR = "error.pb"
DECK = "deck.html"
ALL = (OUTPUTS, OUTPUTS_JSON, FUTURES, ERROR, DECK)


def clear(prefix: str) -> None:
    """Remove the records of an earlier attempt."""
    try:
        storage_for(prefix).clear(prefix, ALL)
    except OSError as error:
        raise OutputsError(f"removing old results from {prefix}: {error}") from error


def commit(prefix: str, outputs: bytes, json: bytes | None, name: str = OUTPUTS) -> None:
    try:
        storage = storage_for(prefix)
        if json is not None:
            storage.store(json, join(prefix, OUTPUTS_JSON))
        storage.store(outputs, join(prefix, name))
    except OSError as error:
        raise OutputsError(f"writing outputs to {prefix}: {error}") from error


def show(prefix: str, page: bytes) -> None:
    try:
        storage_for(prefix).store(page, join(prefix, DECK))
    except OSError as error:
        raise OutputsError(f"writing the deck to {prefix}: {error}") from error


def fail(prefix: str, document: bytes, *, is_shared: bool) -> None:
    """Leave the document; under a prefix that workers share, at a name that no other one has."""
    name = ERROR
    if is_shared:
        from uuid import uuid4

        name = f"error-{uuid4().hex}.pb"
    else:
        clear(prefix)
    try:
        storage_for(prefix).store(document, join(prefix, name))
    except OSError as error:
        raise OutputsError(f"writing the error document to {prefix}: {error}") from error


def json_line(outputs: Message) -> bytes:
    """The outputs as one line of JSON for people and programs."""
    from json import dumps

    from .wire.plain import plain_map

    return (dumps(plain_map(outputs), ensure_ascii=False, allow_nan=False) + "\n").encode()
