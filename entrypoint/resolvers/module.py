# SPDX-License-Identifier: Apache-2.0
"""`task-module M task-name T`: T, a dotted path, in the importable module M."""

from __future__ import annotations

from ..errors import ResolverError
from ..loading import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMES = ("task-module", "task-name")


def load_task(loader_args: list[str]) -> Any:
    given = dict(zip(loader_args[::2], loader_args[1::2], strict=False))
    if len(loader_args) % 2 or sorted(given) != sorted(_NAMES):
        raise ResolverError(
            f"expected `task-module M task-name T` after --, got `{' '.join(loader_args):.200}`"
        )
    return load(given["task-module"], given["task-name"])
