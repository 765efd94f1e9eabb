# SPDX-License-Identifier: Apache-2.0
"""What a task may ask about its run: `imagekit.current_context()`."""

from __future__ import annotations

import os

from . import contract
from .checkpoint import Checkpoint
from .secrets import Secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_EXECUTION = {
    "project": ("FLYTE_INTERNAL_EXECUTION_PROJECT", "_F_PRJ"),
    "domain": ("FLYTE_INTERNAL_EXECUTION_DOMAIN", "_F_DM"),
    "name": ("FLYTE_INTERNAL_EXECUTION_ID", "_F_NM"),
    "workflow": ("FLYTE_INTERNAL_EXECUTION_WORKFLOW", "_F_WF"),
    "launch_plan": ("FLYTE_INTERNAL_EXECUTION_LAUNCHPLAN", "_F_LP"),
}
_TASK = {
    "project": ("FLYTE_INTERNAL_TASK_PROJECT", "_F_TK_PRJ"),
    "domain": ("FLYTE_INTERNAL_TASK_DOMAIN", "_F_TK_DM"),
    "name": ("FLYTE_INTERNAL_TASK_NAME", "_F_TK_NM"),
    "version": ("FLYTE_INTERNAL_TASK_VERSION", "_F_TK_V"),
}


class Identity:
    """Of the execution (`workflow` and `launch_plan`) or of the task (`version`); "" is unknown."""

    __slots__ = ("domain", "launch_plan", "name", "project", "version", "workflow")

    project: str
    domain: str
    name: str
    version: str
    workflow: str
    launch_plan: str

    def __init__(self, names: Mapping[str, tuple[str, str]], environ: Mapping[str, str]) -> None:
        for attribute in self.__slots__:
            setattr(self, attribute, contract.first(environ, *names.get(attribute, ())))


class Context:
    """The run that this process performs; outside of one, everything in it is unknown or none.

    `map_index` is the number of the map task's element, None in other tasks.
    """

    def __init__(self, command: contract.Command | None, environ: Mapping[str, str]) -> None:
        options = command.options if command is not None else {}
        self.execution = Identity(_EXECUTION, environ)
        self.task = Identity(_TASK, environ)
        self.output_prefix = options.get("output-prefix")
        self.raw_output_prefix = options.get("raw-output-data-prefix") or self.output_prefix
        self.checkpoint = Checkpoint(options.get("checkpoint-path"), options.get("prev-checkpoint"))
        self.secrets = Secrets(environ)
        self.map_index: int | None = None
        if command is not None and command.verb == "map-execute":
            self.map_index = contract.map_index(environ)


def current_context() -> Context:
    return Context(contract.running[0] if contract.running else None, os.environ)
