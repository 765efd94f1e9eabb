# SPDX-License-Identifier: Apache-2.0
"""Each class of failure, in a real process: its exit code, its document, and who is at fault."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from entrypoint import errors
from entrypoint.errors import EXIT_CODES, SYSTEM, USER
from tests.unit.entrypoint.workdir import Workdir

RAISING = """
class Evil(Exception):
    def __str__(self):
        raise RuntimeError("no text")

class Coded(Exception):
    error_code = "TEAM:42"

class FlyteRecoverableException(Exception):
    pass

def deep(x: int) -> int:
    return deep(x)
def value_error(x: int) -> int:
    raise ValueError("boom")
def chained(x: int) -> int:
    try:
        {}["first"]
    except KeyError as error:
        raise ValueError("second") from error
def evil(x: int) -> int:
    raise Evil
def coded(x: int) -> int:
    raise Coded("x")
def flyte_recoverable(x: int) -> int:
    raise FlyteRecoverableException("later")
def huge(x: int) -> int:
    raise ValueError("line\\n" * 250_000)
def surrogate(x: int) -> int:
    raise ValueError("bad \\ud800 text")
def leave_0(x: int) -> int:
    raise SystemExit(0)
def leave_3(x: int) -> int:
    import sys
    sys.exit(3)
def keyboard(x: int) -> int:
    raise KeyboardInterrupt
def memory(x: int) -> int:
    return len(bytearray(1 << 62))
def exits(x: int) -> int:
    import os
    os._exit(0)
def wrong(x: int) -> int:
    return "text"
def overflow(x: int) -> int:
    return 1 << 63
def lone(x: int) -> str:
    return "\\ud800"
def unstated(x: int):
    return 1
def untyped(x) -> int:
    return x
def strange(x: int) -> complex:
    return 1j
def cycle(x: int) -> dict:
    value = {}
    value["self"] = value
    return value
def forks(x: int) -> int:
    import os
    if os.fork() == 0:
        raise RuntimeError("in a copy of the process")
    os.wait()
    raise ValueError("in the task")
def deep_list(x: int) -> dict:
    value = []
    for _ in range(5000):
        value = [value]
    return {"v": value}
def crash(x: int) -> int:
    import os, signal
    os.kill(os.getpid(), signal.SIGSEGV)
def killed(x: int) -> int:
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
"""

# task -> (outcome's exit code, code, recoverable, origin)
USER_ERROR = (EXIT_CODES["user"], "USER:RuntimeError", 0, USER)
EXPECTED = {
    "value_error": USER_ERROR,
    "chained": USER_ERROR,
    "deep": USER_ERROR,
    "evil": USER_ERROR,
    "huge": USER_ERROR,
    "surrogate": USER_ERROR,
    "leave_0": USER_ERROR,
    "leave_3": USER_ERROR,
    "keyboard": USER_ERROR,
    "memory": USER_ERROR,
    "coded": (EXIT_CODES["user"], "TEAM:42", 0, USER),
    "flyte_recoverable": (EXIT_CODES["user-recoverable"], "USER:Recoverable", 1, USER),
    "wrong": (EXIT_CODES["user"], "USER:WrongType", 0, USER),
    "overflow": (EXIT_CODES["user"], "USER:WrongType", 0, USER),
    "lone": (EXIT_CODES["user"], "USER:WrongType", 0, USER),
    "unstated": (EXIT_CODES["user"], "USER:WrongType", 0, USER),
    "untyped": (EXIT_CODES["user"], "USER:Interface", 0, USER),
    "strange": (EXIT_CODES["user"], "USER:Interface", 0, USER),
    "cycle": (EXIT_CODES["user"], "USER:WrongType", 0, USER),
    "deep_list": (EXIT_CODES["user"], "USER:WrongType", 0, USER),
    "forks": USER_ERROR,
    "exits": (EXIT_CODES["user"], "USER:Exited", 0, USER),
    "crash": (128 + 11, "USER:Crashed", 0, USER),
    "killed": (128 + 9, "SYSTEM:Killed", 1, SYSTEM),
    "missing_task": (EXIT_CODES["resolver"], "USER:Resolver", 0, USER),
}


@pytest.mark.parametrize("task", EXPECTED)
def test_every_failure_of_a_task_leaves_its_document_and_exit_code(
    workdir: Workdir, task: str
) -> None:
    """Whatever a task does, a document says what, who is at fault, and whether a retry helps."""
    workdir.module("bad", RAISING)
    workdir.inputs({"x": 1})
    exit_code, code, kind, origin = EXPECTED[task]
    result = workdir.execute(f"bad:{task}")
    error = workdir.error()
    assert (result.code, error["code"], error.get("kind", 0), error["origin"]) == (
        exit_code,
        code,
        kind,
        origin,
    )
    assert error["timestamp"]["seconds"] > 0
    assert len(error["message"]) < 200_000


def test_a_trace_starts_at_the_users_frame(workdir: Workdir) -> None:
    """No frame of the runtime or of importlib stands before the user's own."""
    workdir.module("bad", RAISING)
    workdir.inputs({"x": 1})
    workdir.execute("bad:chained")
    message = workdir.error()["message"]
    frames = re.findall(r'File "([^"]+)", line \d+, in (\w+)', message)
    assert frames
    assert {name for _, name in frames} == {"chained"}
    assert message.index("KeyError: 'first'") < message.index("ValueError: second")
    assert message.startswith("Trace:\n\n    Traceback")
    assert message.endswith("Message:\n\n    ValueError: second")


def test_an_import_error_inside_the_users_module_is_traced_to_its_line(workdir: Workdir) -> None:
    """A module that fails to import is a resolver failure, shown where it happened."""
    workdir.module("broken", "import os\n1 / 0\n")
    workdir.inputs({})
    result = workdir.execute("broken:task")
    message = workdir.error()["message"]
    assert result.code == EXIT_CODES["resolver"]
    assert "line 2, in <module>" in message
    assert "importlib" not in message
    assert "importing broken: ZeroDivisionError: division by zero" in message


@pytest.mark.parametrize(
    ("prepare", "outcome"),
    [
        (lambda path: None, "inputs-missing"),
        (lambda path: path.write_bytes(b"\x0a\xff\xff"), "inputs-corrupt"),
        (lambda path: path.mkdir(), "inputs-missing"),
    ],
)
def test_missing_and_corrupt_inputs_are_the_systems_fault_and_recoverable(
    workdir: Workdir, prepare: Any, outcome: str
) -> None:
    """A file that is not there, or is none, says nothing about the user's code."""
    workdir.module("good", "def add(x: int) -> int:\n    return x + 1\n")
    prepare(workdir.path / "inputs.pb")
    result = workdir.execute("good:add")
    error = workdir.error()
    assert result.code == EXIT_CODES[outcome]
    assert (error["kind"], error["origin"]) == (1, SYSTEM)


@pytest.mark.parametrize("name", ["flytekit_absent.resolver", "nowhere.resolver", "good.add"])
def test_a_wrong_resolver_leaves_a_document(workdir: Workdir, name: str) -> None:
    """Modules that do not exist, and an object that is no resolver."""
    workdir.module("good", "def add(x: int) -> int:\n    return x + 1\n")
    workdir.inputs({"x": 1})
    result = workdir.execute("good:add", "--resolver", name)
    assert result.code == EXIT_CODES["resolver"]
    assert workdir.error()["origin"] == USER


SIGNED = "http://user:canary-1@127.0.0.1:9/in.pb?sig=canary-2"


@pytest.mark.parametrize(
    "words",
    [
        ("call", "--inputs", SIGNED, "good:add"),
        ("call", "--checkpoint-path", "x", "--output-prefix", SIGNED, "good:add", "x=1"),
        ("fast-execute", "--additional-distribution", SIGNED, "--", "true"),
        ("execute", SIGNED),
        ("wait", "--timeout", "0.1", SIGNED),
    ],
)
def test_signatures_and_passwords_of_uris_are_in_no_text(
    workdir: Workdir, words: tuple[str, ...]
) -> None:
    """Whatever fails, and whoever tells of it."""
    workdir.module("good", "def add(x: int) -> int:\n    return x + 1\n")
    log = workdir.path / "termination"
    log.touch()
    result = workdir.run(*words, environ={"IMAGEKIT_TERMINATION_LOG": str(log)})
    assert result.code != 0
    assert "canary" not in result.stdout + result.stderr + log.read_text()
    assert "127.0.0.1:9/in.pb" in result.stderr or words[:1] == ("execute",)


def test_a_wrong_input_is_named_by_its_path(workdir: Workdir) -> None:
    """The caller's mistake is the user's, and the text says where it is."""
    workdir.module("good", "def add(x: list[int]) -> int:\n    return sum(x)\n")
    (workdir.path / "inputs.json").write_text('{"x": [1, 2, "three"]}')
    result = workdir.run("call", "--inputs", "inputs.json", "good:add")
    assert result.code == EXIT_CODES["user"]
    assert "inputs.x[2]: expected int, got str 'three'" in result.stderr


def test_flytes_rule_is_exit_0_with_a_document_unless_told_otherwise(workdir: Workdir) -> None:
    """Under the pyflyte- spelling the document alone tells of failure."""
    workdir.module("bad", RAISING)
    workdir.inputs({"x": 1})
    result = workdir.execute("bad:value_error", verb="pyflyte-execute")
    assert (result.code, workdir.error()["code"]) == (0, "USER:RuntimeError")
    told = workdir.execute(
        "bad:value_error", verb="pyflyte-execute", environ={"FLYTE_FAIL_ON_ERROR": "true"}
    )
    assert told.code == EXIT_CODES["user"]


def test_outputs_that_cannot_be_written_fail_even_under_flytes_rule(workdir: Workdir) -> None:
    """No record could be left, so the exit code has to speak."""
    workdir.module("good", "def add(x: int) -> int:\n    return x + 1\n")
    workdir.inputs({"x": 1})
    workdir.prefix.write_text("a file where the directory should be")
    result = workdir.execute("good:add", verb="pyflyte-execute")
    assert result.code == EXIT_CODES["outputs-failed"]
    assert "writing outputs to" in result.stderr or "removing old results" in result.stderr


def test_a_read_only_prefix_is_an_outputs_failure(workdir: Workdir) -> None:
    """Where nothing can be written, not even for root, the exit code is the one for that."""
    workdir.module("good", "def add(x: int) -> int:\n    return x + 1\n")
    workdir.inputs({"x": 1})
    result = workdir.run(
        *("execute", "--inputs", "inputs.pb", "--output-prefix", "/proc/nowhere", "--"),
        *("task-module", "good", "task-name", "add"),
    )
    assert result.code == EXIT_CODES["outputs-failed"]
    assert "writing outputs to /proc/nowhere" in result.stderr


def test_where_the_document_has_no_room_a_short_one_is_left(workdir: Workdir) -> None:
    """The kernel refuses to write files of more than 8 KiB, as a full disk would."""
    workdir.module("bad", "def task(x: int) -> int:\n    raise ValueError('z' * 100_000)\n")
    workdir.inputs({"x": 1})
    words = workdir.command(*workdir.execute_words("bad:task"))
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 16; exec "$@"', "sh", *words],
        cwd=workdir.path,
        env=workdir.environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == EXIT_CODES["user"]
    assert "characters left out" in workdir.error()["message"]
    assert [path.name for path in workdir.prefix.iterdir()] == ["error.pb"]


def test_the_termination_message_fits_and_says_the_same(workdir: Workdir) -> None:
    """At most 4096 bytes of JSON, however long the text, and only if the file is there."""
    workdir.module("bad", RAISING.replace("line\\\\n", "é\\\\n"))
    workdir.inputs({"x": 1})
    log = workdir.path / "termination-log"
    workdir.execute("bad:huge", "--termination-log", str(log))
    assert not log.exists()
    log.touch()
    workdir.execute("bad:huge", "--termination-log", str(log))
    data = log.read_bytes()
    content = json.loads(data)
    assert len(data) <= 4096
    assert (content["outcome"], content["origin"], content["exit_code"]) == ("user", "USER", 10)


def test_a_recoverable_error_of_our_own_asks_for_a_retry(workdir: Workdir) -> None:
    """`imagekit.RecoverableError` is the class that the running runtime knows."""
    root = str(Path(__file__).parents[3])
    workdir.module(
        "retry",
        "from imagekit import RecoverableError\n"
        "def task(x: int) -> int:\n    raise RecoverableError('again')\n",
    )
    workdir.inputs({"x": 1})
    result = workdir.execute("retry:task", environ={"PYTHONPATH": root})
    assert result.code == EXIT_CODES["user-recoverable"]
    assert workdir.error()["kind"] == errors.RECOVERABLE


def test_each_class_is_a_row_of_the_table() -> None:
    """Every error class has an exit code, and the codes are distinct."""
    classes = [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.EntrypointError)
    ]
    assert {each.outcome for each in classes} <= set(EXIT_CODES)
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)


def test_the_documented_exit_codes_are_the_tables() -> None:
    """docs/reference/entrypoint.md lists each row of the table, and nothing else."""
    page = Path(__file__).parents[3] / "docs" / "reference" / "entrypoint.md"
    rows = re.findall(r"^\| (\d+) \| `([a-z-]+)` \|", page.read_text(), re.MULTILINE)
    assert {name: int(code) for code, name in rows} == EXIT_CODES


def test_the_drawn_tree_is_the_tree() -> None:
    """The docstring's exit codes are the table's."""
    drawn = dict(re.findall(r"  ([a-z-]+) {2,}(\d+)", errors.__doc__ or ""))
    expected = {name: str(code) for name, code in EXIT_CODES.items() if name != "ok"}
    assert drawn == expected
