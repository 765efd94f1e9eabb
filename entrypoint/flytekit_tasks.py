# SPDX-License-Identifier: Apache-2.0
"""Tasks that are flytekit's own objects, run through the flytekit of the image.

flytekit converts, runs and renders the deck; the records are left by us, so they are whole or
absent here too. Of flytekit only `setup_execution` and `dispatch_execute` are used.
"""

from __future__ import annotations

from . import records
from .errors import ConversionError, ResolverError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .contract import Command
    from .inputs import Given


class RaisedError(Exception):
    """The user's function raised; the cause is what it raised."""


def run(task: Any, given: dict[str, Given], command: Command) -> tuple[str, bytes]:
    """The name of the record that the task leaves, and its content."""
    from importlib import import_module

    from .wire.protobuf import encode

    if any(form != "literal" for form, _ in given.values()):
        raise UsageError("a flytekit task is run by execute, with inputs.pb")
    try:
        import_module("flytekit")
    except ImportError as error:
        raise ResolverError(f"a task of flytekit's needs it in the image: {error}") from error
    message = {"literals": {name: literal for name, (_, literal) in given.items()}}
    literal_map = _literal_map(encode("LiteralMap", message))
    options = command.options
    execution = import_module("flytekit.bin.entrypoint").setup_execution(
        options["raw-output-data-prefix"] or options["output-prefix"],
        options["output-prefix"],
        options["checkpoint-path"],
        options["prev-checkpoint"],
        options["dynamic-addl-distro"],
        options["dynamic-dest-dir"],
    )
    with execution as context:
        outputs = _dispatch(task, context, literal_map)
        if not getattr(task, "disable_deck", True):
            write_deck = vars(import_module("flytekit.deck.deck"))["_output_deck"]
            write_deck(task.name.rpartition(".")[2], context.user_space_params)
        return _record(outputs)


def _literal_map(data: bytes) -> Any:
    from importlib import import_module

    protobuf = import_module("flyteidl.core.literals_pb2").LiteralMap.FromString(data)
    return import_module("flytekit.models.literals").LiteralMap.from_flyte_idl(protobuf)


def _dispatch(task: Any, context: Any, literal_map: Any) -> Any:
    from importlib import import_module

    errors = import_module("flytekit.exceptions")
    user, system = (import_module(f"{errors.__name__}.{name}") for name in ("user", "system"))
    try:
        return task.dispatch_execute(context, literal_map)
    except user.FlyteUserRuntimeException as error:
        raise RaisedError from error.value
    except system.FlyteNonRecoverableSystemException as error:
        from .document import text_of

        raise ConversionError(text_of(error.value)) from error.value


def _record(outputs: Any) -> tuple[str, bytes]:
    """No outputs at all are flytekit's VoidPromise, nodes to run next its DynamicJobSpec."""
    kind = type(outputs).__name__
    if kind == "VoidPromise":
        return records.OUTPUTS, b""
    if kind not in ("DynamicJobSpec", "LiteralMap"):
        raise ConversionError(f"outputs: flytekit returned a {kind}")
    data: bytes = outputs.to_flyte_idl().SerializeToString(deterministic=True)
    return (records.OUTPUTS if kind == "LiteralMap" else records.FUTURES), data
