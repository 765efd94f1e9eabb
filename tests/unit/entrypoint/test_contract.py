# SPDX-License-Identifier: Apache-2.0
"""The command line: what is written is read again, and Flyte's templates are read as they come."""

from __future__ import annotations

from typing import Any

import pytest

from entrypoint.contract import (
    DEFAULT_GRACE_SECONDS,
    INDEX_NAME,
    INDEX_OFFSET,
    LEGACY_MAP_RESOLVER,
    OPTIONS,
    call_arguments,
    execute_arguments,
    map_index,
    parse,
    variable,
)
from entrypoint.errors import UsageError
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
        rest = ["--", "true"] if verb == "fast-execute" else ["m:f"]
        command = parse([verb, f"--{names[0]}=2", *rest], environ)
        found = {name: command.options[name] for name in names}
        assert found == {**dict.fromkeys(names, "1"), names[0]: "2"}


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
        (["map-execute", "--inputs", "i", "--", "x"], "map-execute needs --output-prefix"),
        (["fast-execute", "--dest-dir", "."], "fast-execute needs a command after --"),
        (["fast-execute", "--", "fast-execute", "--", "x"], "fast-execute inside fast-execute"),
        (["fast-execute", "--", "execute", "--", "x"], "execute needs --inputs"),
        (["wait", "a", "b"], "wait needs one FILE"),
        (["call", "m:f", "--timeout=x"], "--timeout is a number of seconds, not 'x'"),
    ],
    ids=str,
)
def test_a_wrong_command_line_is_a_usage_error(words: Any, problem: str) -> None:
    """It says what is wrong, and nothing is started."""
    with pytest.raises(UsageError) as caught:
        parse(words, {})
    assert problem in str(caught.value)


FAST = [
    *("pyflyte-fast-execute", "--additional-distribution", "s3://b/code.tar.gz"),
    *("--dest-dir", "{{ .dest_dir }}", "--", *FLYTE),
]


def test_fast_execute_is_the_command_inside_it() -> None:
    """One command for one interpreter, with what a dynamic task hands on to the tasks it makes."""
    command = parse(FAST, {"IMAGEKIT_BUNDLE_DIGEST": "sha256:0"})
    assert (command.verb, command.flyte) == ("execute", True)
    assert command.arguments == ["task-module", "a.b", "task-name", "c"]
    wanted = {
        "additional-distribution": "s3://b/code.tar.gz",
        "dest-dir": None,
        "bundle-digest": "sha256:0",
        "dynamic-addl-distro": "s3://b/code.tar.gz",
        "dynamic-dest-dir": None,
        "inputs": "s3://b/inputs.pb",
    }
    assert {name: command.options[name] for name in wanted} == wanted


def test_a_launcher_inside_fast_execute_is_told_where_the_code_came_from() -> None:
    """As Flyte does it: two options before --resolver, for the command that mpirun starts."""
    inner = ["mpirun", "python", "entrypoint.py", *FLYTE]
    options = ("--additional-distribution", "s3://b/c.zip", "--dest-dir", "/code")
    command = parse(["fast-execute", *options, "--", *inner], {})
    assert command.verb == "program"
    at = inner.index("--resolver")
    added = ["--dynamic-addl-distro", "s3://b/c.zip", "--dynamic-dest-dir", "/code"]
    assert command.arguments == [*inner[:at], *added, *inner[at:]]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"VAR": "2"}, f"needs {INDEX_NAME}"),
        ({INDEX_NAME: "VAR"}, "names VAR, which is not set"),
        ({INDEX_NAME: "VAR", "VAR": "two"}, "not both whole numbers"),
        ({INDEX_NAME: "VAR", "VAR": "1", INDEX_OFFSET: "-2"}, "make -1"),
        ({INDEX_NAME: "VAR", "VAR": "2"}, 2),
        ({INDEX_NAME: "VAR", "VAR": "2", INDEX_OFFSET: "3"}, 5),
    ],
    ids=str,
)
def test_the_index_of_a_map_task_is_given_or_it_is_an_error(
    environ: dict[str, str], expected: int | str
) -> None:
    """Nobody computes element 0 because a variable is missing."""
    if isinstance(expected, int):
        assert map_index(environ) == expected
        return
    with pytest.raises(UsageError, match=expected):
        map_index(environ)


def test_older_map_tasks_have_a_directory_each() -> None:
    """Under the output prefix that they share."""
    words = ["pyflyte-map-execute", *FLYTE[1:]]
    words[words.index("--resolver") + 1] = LEGACY_MAP_RESOLVER
    command = parse(words, {INDEX_NAME: "VAR", "VAR": "4"})
    assert command.options["output-prefix"] == "s3://b/out/4"


def test_a_distributed_worker_is_known_by_the_environment() -> None:
    """Flyte's long name, or its short one."""
    assert parse(FLYTE, {}).worker is None
    assert parse(FLYTE, {"_F_DES": "earliest"}).worker == ""
    environ = {"FLYTE_INTERNAL_DIST_ERROR_STRATEGY": "earliest", "_F_WN": "worker-1"}
    assert parse(FLYTE, environ).worker == "worker-1"


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
