# SPDX-License-Identifier: Apache-2.0
"""One run of a task, from its inputs to its record: the story on one page."""

from __future__ import annotations

import os
import sys

from . import process, records
from .errors import (
    EXIT_CODES,
    ConversionError,
    EntrypointError,
    Interrupted,
    OutputsError,
    UserError,
)
from .inputs import is_json, read_inputs
from .interface import Interface
from .place import Place
from .signals import SIGINT
from .storage import scheme_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .contract import Command
    from .document import Failure


class TaskRaisedError(Exception):
    """The user's function raised; the cause is what it raised."""


def execute(command: Command, environ: Mapping[str, str], parent: Parent) -> int:
    """Run the task, leave its record, and return the exit code."""
    try:
        process.prepare(environ)
        anchor(command)
        perform(command, parent)
        exit_code = EXIT_CODES["ok"]
    except BaseException as error:  # noqa: BLE001
        process.settle()
        parent.check()
        from .publish import publish

        exit_code = publish(failure_of(error), command, environ)
    parent.tell(exit_code)
    return exit_code


def anchor(command: Command) -> None:
    """A task may change its working directory; what the command line names stays where it is."""
    for name in ("inputs", "output-prefix", "raw-output-data-prefix", "termination-log"):
        value = command.options[name]
        if value is not None and not scheme_of(value):
            command.options[name] = os.path.abspath(value)


def perform(command: Command, parent: Parent) -> None:
    prefix = command.options["output-prefix"]
    if prefix is not None:
        records.clear(prefix)
    if "test" in command.switches:
        resolve(command, only_resolver=True)
        return
    given = read_inputs(command)
    task = resolve(command)
    interface = Interface(task)
    returned = dispatch(task, interface.read(given))
    process.settle()
    outputs = interface.write(returned, place_for(command))
    parent.check()
    leave(outputs, command)


def resolve(command: Command, *, only_resolver: bool = False) -> Any:
    if command.verb == "call":
        from .loading import load

        module, _, path = command.arguments[0].partition(":")
        return load(module, path)
    from .resolvers import DEFAULT, resolver_named

    resolver = resolver_named(command.options["resolver"] or DEFAULT)
    return None if only_resolver else guarded(resolver.load_task, command.arguments)


def guarded(load_task: Callable[[list[str]], Any], arguments: list[str]) -> Any:
    """A resolver may be the user's own: what it raises is a resolver's failure."""
    from .errors import ResolverError

    try:
        return load_task(arguments)
    except (EntrypointError, Interrupted):
        raise
    except BaseException as error:
        raise ResolverError(f"the resolver raised {type(error).__qualname__}") from error


def dispatch(task: Callable[..., Any], values: dict[str, Any]) -> Any:
    try:
        returned = task(**values)
        if hasattr(returned, "cr_await"):
            from asyncio import run

            returned = run(returned)
    except Interrupted:
        raise
    except EntrypointError as error:
        if isinstance(error, UserError):
            raise TaskRaisedError from error
        raise
    except BaseException as error:
        raise TaskRaisedError from error
    return returned


def place_for(command: Command) -> Place:
    prefix = command.options["raw-output-data-prefix"] or command.options["output-prefix"]
    return Place(prefix)


def leave(outputs: dict[str, Any], command: Command) -> None:
    from .wire.protobuf import WireError, encode

    prefix = command.options["output-prefix"]
    try:
        wants_json = command.verb == "call" or is_json(command.options["inputs"])
        json = records.json_line(outputs) if wants_json else None
        data = encode("LiteralMap", outputs)
    except (WireError, RecursionError) as error:
        raise ConversionError(f"outputs: {error}") from error
    if prefix is not None:
        records.commit(prefix, data, json)
    elif json is not None:
        say(json)


def say(line: bytes) -> None:
    """Write to standard output itself, after whatever the task still holds back from it."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        while line:
            line = line[os.write(1, line) :]
    except (OSError, ValueError) as error:
        raise OutputsError(f"writing the outputs to standard output: {error}") from error


def failure_of(error: BaseException) -> Failure:
    from .document import interruption, runtime_failure, task_failure

    if isinstance(error, TaskRaisedError) and error.__cause__ is not None:
        error = error.__cause__
        if isinstance(error, KeyboardInterrupt) and process.was_keyboard_interrupted():
            return interruption(SIGINT)
        return task_failure(error)
    return runtime_failure(error)


class Parent:
    """The supervisor, as seen from the task's process."""

    __slots__ = ("pid", "pipe")

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self.pipe = pipe

    def check(self) -> None:
        """A task whose supervisor was killed leaves nothing: the next attempt may be running."""
        if os.getppid() != self.pid:
            os._exit(EXIT_CODES["internal"])

    def tell(self, exit_code: int) -> None:
        """The record is left; whatever happens to this process from now on does not change it."""
        os.write(self.pipe, b"%d\n" % exit_code)
        os.close(self.pipe)
