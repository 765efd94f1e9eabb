# SPDX-License-Identifier: Apache-2.0
"""What a shell makes of a spec's commands."""

from __future__ import annotations

import subprocess

import pytest

from imagekit.planning.steps import RunCommands


def run(*commands: str) -> tuple[int, list[str]]:
    """The exit code, and the lines that they print."""
    script = RunCommands(commands, {}).script
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    "command",
    [
        "echo one",
        "echo one  # and nothing more",
        "echo one;",
        "true & wait; echo one &\nwait",
        "cat <<'END'\none\nEND\n",
        "set -eu\necho one\n",
        "if true\nthen echo one\nfi",
    ],
)
def test_each_command_is_run_and_then_the_next(command: str) -> None:
    """However it ends: by a comment, a line break, a here-document, `;`."""
    assert run(command, "test -n yes", command) == (0, ["one", "one"])


@pytest.mark.parametrize("failing", ["(exit 9)", "(exit 9)  # so it is", "set -e\n(exit 9)\ntrue"])
def test_a_command_that_fails_is_the_last(failing: str) -> None:
    """Its exit code is that of all; in one of several lines `set -e` counts."""
    assert run("echo one", failing, "echo two") == (9, ["one"])


@pytest.mark.parametrize("after", ["echo two; true", "echo two || true", "echo two & wait"])
def test_nothing_of_the_next_command_hides_a_failure(after: str) -> None:
    """`false && a; b` would go well."""
    assert run("echo one", "(exit 9)", after) == (9, ["one"])


@pytest.mark.parametrize("comment", ["", "  # of several\n"])
def test_what_one_command_sets_holds_for_the_next(comment: str) -> None:
    """A variable, a folder, a function."""
    commands = (f"cd /; x=1{comment}", "f() { echo $x; }", "f; pwd")
    assert run(*commands) == (0, ["1", "/"])


def test_plain_commands_are_joined_as_ever() -> None:
    """So that what was cached of them still holds."""
    assert RunCommands(("a", "b c && d | e"), {}).script == "a && b c && d | e"
    assert RunCommands(("a\nb # c",), {}).script == "a\nb # c"
