# SPDX-License-Identifier: Apache-2.0
"""One run of a task, from its inputs to its record: the story on one page."""

from __future__ import annotations

import os
import sys

from . import contract, process, records
from .errors import (
    EXIT_CODES,
    ConversionError,
    EntrypointError,
    Interrupted,
    OutputsError,
    UsageError,
    UserError,
)
from .inputs import is_json, read_inputs
from .interface import Interface
from .place import Place
from .signals import SIGINT
from .storage import redacted, scheme_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .contract import Command
    from .document import Failure
    from .inputs import Given


ANCHORED = (
    *("inputs", "output-prefix", "raw-output-data-prefix", "termination-log"),
    *("checkpoint-path", "prev-checkpoint", "dest-dir"),
)


class TaskRaisedError(Exception):
    """The user's function raised; the cause is what it raised."""


def execute(command: Command, environ: Mapping[str, str], parent: Parent) -> int:
    """Run the task, leave its record, and return the exit code."""
    try:
        contract.running[:] = [command]
        process.prepare(environ)
        anchor(command)
        perform(command, environ, parent)
        exit_code = EXIT_CODES["ok"]
    except BaseException as error:  # noqa: BLE001
        process.settle()
        parent.check()
        exit_code = conclude(error, command, environ, parent)
    parent.tell(exit_code)
    return exit_code


def conclude(
    error: BaseException, command: Command, environ: Mapping[str, str], parent: Parent
) -> int:
    """Leave the record of a run that did not end by returning outputs; return the exit code."""
    from .publish import publish

    failure = failure_of(error)
    if failure is None:
        return EXIT_CODES["ok"]
    if failure.exit_code == EXIT_CODES["interrupted"] and parent.is_late():
        from .document import timed_out

        failure = timed_out(command.timeout_seconds)
    exit_code = publish(failure, command, environ)
    try:
        show(command)
    except EntrypointError as problem:
        sys.stderr.write(f"imagekit: {redacted(str(problem))}\n")
    return exit_code


def show(command: Command) -> None:
    """Leave the page of decks, if the task made any; of several workers none does."""
    decks = sys.modules.get(f"{__package__}.decks")
    prefix = command.options["output-prefix"]
    if decks is not None and decks.made and prefix is not None and command.worker is None:
        decks.write(prefix)


def anchor(command: Command) -> None:
    """A task may change its working directory; what the command line names stays where it is."""
    for name in ANCHORED:
        value = command.options.get(name)
        if value is not None and not scheme_of(value):
            command.options[name] = os.path.abspath(value)


def perform(command: Command, environ: Mapping[str, str], parent: Parent) -> None:
    prefix = command.options["output-prefix"]
    if prefix is not None and command.worker is None:
        records.clear(prefix)
    if environ.get(contract.PACKAGES) or environ.get(contract.FLYTE_PACKAGES):
        from .packages import install

        install(os.environ)
    if "dest-dir" in command.options:
        from .bundle import prepare

        prepare(command)
    if "test" in command.switches:
        resolve(command, only_resolver=True)
        return
    given = given_to(command, environ)
    task = resolve(command)
    if hasattr(task, "dispatch_execute"):
        delegate(task, given, command, parent)
        return
    make = getattr(task, "imagekit_interface", None)
    interface = Interface(task) if make is None else make()
    returned = dispatch(task, interface.read(given))
    process.settle()
    outputs = interface.write(returned, place_for(command))
    parent.check()
    leave(outputs, command)


def given_to(command: Command, environ: Mapping[str, str]) -> dict[str, Given]:
    if command.verb != "map-execute":
        return read_inputs(command)
    from .mapping import read_element

    return read_element(command, environ)


def delegate(task: Any, given: dict[str, Given], command: Command, parent: Parent) -> None:
    """The task is flytekit's own object, and flytekit runs it."""
    from . import flytekit_tasks

    prefix = command.options["output-prefix"]
    if prefix is None or command.verb == "call":
        raise UsageError("a flytekit task is run by execute, with inputs.pb")
    try:
        name, data = flytekit_tasks.run(task, given, command)
    except flytekit_tasks.RaisedError as error:
        raise TaskRaisedError from error.__cause__
    process.settle()
    parent.check()
    records.commit(prefix, data, None, name)


def resolve(command: Command, *, only_resolver: bool = False) -> Any:
    if command.verb == "call":
        from .loading import load

        module, _, path = command.arguments[0].partition(":")
        return load(module, path)
    from .resolvers import DEFAULT, resolver_named

    name, arguments = command.options["resolver"] or DEFAULT, command.arguments
    if command.verb == "map-execute":
        if only_resolver:
            return None
        from .mapping import Mapped

        mapped = Mapped(arguments)
        name, arguments = mapped.resolver, mapped.arguments
    resolver = resolver_named(name)
    return None if only_resolver else guarded(resolver.load_task, arguments)


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
        show(command)
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


def failure_of(error: BaseException) -> Failure | None:
    """None if the task asked for no record at all, as all but one of a distributed task do."""
    from .document import interruption, runtime_failure, task_failure

    if isinstance(error, TaskRaisedError) and error.__cause__ is not None:
        error = error.__cause__
        if isinstance(error, KeyboardInterrupt) and process.was_keyboard_interrupted():
            return interruption(SIGINT)
        if any(each.__name__ == "IgnoreOutputs" for each in type(error).__mro__):
            return None
        return task_failure(error)
    return runtime_failure(error)


class Parent:
    """The supervisor, as seen from the task's process."""

    __slots__ = ("deadline", "pid", "pipe")

    def __init__(self, pid: int, pipe: int, deadline: float | None) -> None:
        self.pid = pid
        self.pipe = pipe
        self.deadline = deadline

    def is_late(self) -> bool:
        """Whether a SIGTERM that came is the timeout's."""
        from time import monotonic

        return self.deadline is not None and monotonic() >= self.deadline

    def check(self) -> None:
        """A task whose supervisor was killed leaves nothing: the next attempt may be running."""
        if os.getppid() != self.pid:
            os._exit(EXIT_CODES["internal"])

    def tell(self, exit_code: int) -> None:
        """The record is left; whatever happens to this process from now on does not change it."""
        os.write(self.pipe, b"%d\n" % exit_code)
        os.close(self.pipe)
