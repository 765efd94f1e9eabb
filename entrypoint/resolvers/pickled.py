# SPDX-License-Identifier: Apache-2.0
"""`PICKLE`: the task itself, pickled by cloudpickle, in base64."""

from __future__ import annotations

from ..errors import ResolverError
from ..pickles import unpickled, verified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def load_task(loader_args: list[str]) -> Any:
    from binascii import Error, a2b_base64

    if len(loader_args) != 1:
        raise ResolverError(f"expected one pickle in base64 after --, got {len(loader_args)} words")
    try:
        pickle = a2b_base64(loader_args[0].encode())
    except Error as error:
        raise ResolverError(f"the pickled task is not base64: {error}") from error
    verified(pickle, "the pickled task")
    return unpickled(pickle, "the pickled task")
