# SPDX-License-Identifier: Apache-2.0
"""The command line: what is written is read again, and Flyte's templates are read as they come."""

from __future__ import annotations

from typing import Any

import pytest

from entrypoint.contract import (
    DEFAULT_GRACE_SECONDS,
    OPTIONS,
    call_arguments,
    execute_arguments,
    parse,
    variable,
)
from entrypoint.errors import UnsupportedError, UsageError
from tests.unit.entrypoint.workdir import Workdir

FLYTE = [
    "pyflyte-execute",
    *("--inputs", "s3://b/inputs.pb", "--output-prefix", "s3://b/out"),
    *("--raw-output-data-prefix", "{{.rawOutputDataPrefix}}"),
    *("--checkpoint-path", "{{.checkpointOutputPrefix}}", "--prev-checkpoint", '""'),
    *("--resolver", "flytekit.core.python_auto_container.default_task_resolver"),
    *("--", "task-module", "a.b", "task-name", "c"),
]


def test_flytes_own_arguments_are_read() -> None:
    """Options before --, the resolver's arguments verbatim after it, unfilled templates as none."""
    command = parse(FLYTE, {})
    assert (command.verb, command.flyte) == ("execute", True)
    assert command.arguments == ["task-module", "a.b", "task-name", "c"]
    assert command.options["inputs"] == "s3://b/inputs.pb"
    unfilled = ("raw-output-data-prefix", "checkpoint-path", "prev-checkpoint")
    assert [command.options[name] for name in unfilled] == [None, None, None]


def test_what_is_written_is_read_again() -> None:
    """The writer and the reader are of one mind."""
    call = parse(call_arguments("m:f", ["x=--y", "z=a=b"], output_prefix="out"), {})
    assert (call.verb, call.arguments) == ("call", ["m:f", "x=--y", "z=a=b"])
    assert call.options["output-prefix"] == "out"
    execute = parse(
        execute_arguments(["task-module", "m"], inputs="i", output_prefix="o", resolver="r.s"), {}
    )
    assert (execute.verb, execute.flyte) == ("execute", False)
    assert execute.options["resolver"] == "r.s"
    assert execute.arguments == ["task-module", "m"]


def test_each_option_has_a_twin_in_the_environment() -> None:
    """The command line wins over it."""
    for verb, names in OPTIONS.items():
        environ = {variable(name): "1" for name in names}
        command = parse([verb, "--inputs=2", "m:f"], environ)
        assert command.options == {**dict.fromkeys(names, "1"), "inputs": "2"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "nothing to run"),
        (["--verbose"], "neither a command nor a program"),
        (["call"], "call needs MODULE:FUNCTION"),
        (["call", "module"], "module is not MODULE:FUNCTION"),
        (["call", "--input", "x", "m:f"], "did you mean inputs?"),
        (["call", "m:f", "--inputs"], "--inputs needs a value"),
        (["call", "m:f", "--grace=soon"], "--grace is a number of seconds, not 'soon'"),
        (["call", "m:f", "--grace=-1"], "--grace is a number of seconds"),
        (["call", "m:f", "--grace=inf"], "--grace is a number of seconds"),
        (["execute", "--output-prefix", "o", "--", "x"], "execute needs --inputs"),
        (["execute", "--inputs", "i", "--", "x"], "execute needs --output-prefix"),
        (["execute", "--inputs", "i", "--output-prefix", "o"], "resolver's arguments after --"),
    ],
    ids=str,
)
def test_a_wrong_command_line_is_a_usage_error(words: Any, problem: str) -> None:
    """It says what is wrong, and nothing is started."""
    with pytest.raises(UsageError) as caught:
        parse(words, {})
    assert problem in str(caught.value)


@pytest.mark.parametrize("word", ["fast-execute", "pyflyte-fast-execute", "pyflyte-map-execute"])
def test_what_is_not_supported_yet_is_refused_by_name(word: str, workdir: Workdir) -> None:
    """It is not mistaken for a program, and has an exit code of its own."""
    with pytest.raises(UnsupportedError, match=f"{word} is not supported yet"):
        parse([word, "--x"], {})
    assert workdir.run(word).code == 16


def test_a_program_keeps_its_words() -> None:
    """Its options are its own, even where they look like ours."""
    command = parse(["mpirun", "--inputs", "x", "--"], {"IMAGEKIT_GRACE": "3"})
    assert (command.verb, command.arguments) == ("program", ["mpirun", "--inputs", "x", "--"])
    assert command.grace_seconds == 3
    assert parse(["true"], {}).grace_seconds == DEFAULT_GRACE_SECONDS


def test_test_mode_loads_the_resolver_and_ends(workdir: Workdir) -> None:
    """Flyte's --test."""
    workdir.inputs({})
    done = workdir.run(
        "execute", "--inputs", "inputs.pb", "--output-prefix", "out", "--test", "--", "x"
    )
    assert done.code == 0
    assert (
        workdir.run(
            "execute", "--inputs", "i", "--output-prefix", "out", "--test", "--resolver", "no.such"
        ).code
        == 15
    )
