# SPDX-License-Identifier: Apache-2.0
"""Resolvers: what stands after `--` on the command line, made into the task.

A resolver is anything with `load_task(loader_args: list[str])`. Flyte's own names mean ours, so
that its container arguments run as they are. To add one: a file here, and a line in the table.
"""

from __future__ import annotations

from ..errors import ResolverError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Resolver(Protocol):
        def load_task(self, loader_args: list[str]) -> Any:
            """The task: anything that can be called with its inputs by name."""


DEFAULT = "module"
RESOLVERS = {
    "module": "module",
    "notebook": "notebook",
    "pickled": "pickled",
    "template": "template",
    "flytekit.core.python_auto_container.default_notebook_task_resolver": "notebook",
    "flytekit.core.python_auto_container.default_task_resolver": "module",
    "flytekit.core.python_customized_container_task.default_task_template_resolver": "template",
    "flytekit.extras.cloud_pickle_resolver.experimental_cloud_pickle_resolver": "pickled",
}


def resolver_named(location: str) -> Resolver:
    """One of the table, or any importable `module.object`."""
    known = RESOLVERS.get(location)
    if known is not None:
        own: Resolver = __import__(f"{__name__}.{known}", fromlist=["load_task"])
        return own
    from ..loading import load_dotted

    found = load_dotted(location)
    if not callable(getattr(found, "load_task", None)):
        raise ResolverError(f"{location} has no load_task, so it is no resolver")
    resolver: Resolver = found
    return resolver
