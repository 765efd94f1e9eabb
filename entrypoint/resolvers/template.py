# SPDX-License-Identifier: Apache-2.0
"""`TEMPLATE_URI module.ExecutorClass`: a task that is all in its TaskTemplate.

It is run by a class of the image that has `execute_from_model(template, **inputs)`.
"""

from __future__ import annotations

from ..errors import InputsCorruptError, ResolverError
from ..inputs import fetched
from ..loading import load_dotted
from ..template import ShimTask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def load_task(loader_args: list[str]) -> Any:
    from ..wire.protobuf import WireError, decode

    if len(loader_args) != 2:
        raise ResolverError(
            "expected a TaskTemplate's URI and module.ExecutorClass after --, "
            f"got `{' '.join(loader_args):.200}`"
        )
    uri, location = loader_args
    data = fetched(uri)
    executor = load_dotted(location)
    if not callable(getattr(executor, "execute_from_model", None)):
        raise ResolverError(f"{location} has no execute_from_model, so it is no executor")
    try:
        message = decode("TaskTemplate", data)
    except WireError as error:
        raise InputsCorruptError(f"reading {uri}: {error}") from error
    return ShimTask(executor, message, data)
