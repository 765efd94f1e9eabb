# SPDX-License-Identifier: Apache-2.0
"""The program around the verbs: help, errors, exit codes."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from imagekit.cli.main import VERBS, main


def test_help_lists_every_verb_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    """`imagekit --help` is quick because the table has the texts."""
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb, text in VERBS.items():
        assert verb in shown
        assert text in shown
    assert "Example: imagekit build" in shown
    code = (
        "import sys; from imagekit.cli.main import main; main(['--help'])\n"
        "print([n for n in ('http', 'ssl', 'yaml', 'uv', 'rich', 'imagekit.lock', 'imagekit.spec')"
        " if n in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == "[]\n"


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_a_command_with_an_example(
    verb: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table is complete, and every help ends with how to begin."""
    command = importlib.import_module(f"imagekit.cli.{verb}").command
    assert isinstance(command, click.Command)
    assert main([verb, "--help"]) == 0
    assert f"Example: imagekit {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["biuld", "spec.yaml"], "no verb 'biuld'; did you mean build?"),
        (["zzz"], "no verb 'zzz'"),
        (["build"], "Missing argument 'SPEC...'"),
        (["plan", "gone.yaml"], "gone.yaml"),
        (["lock", "--output", "xml", "gone.yaml"], "'xml' is not one of"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(
    arguments: Any, message: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says what was wrong, on stderr."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_wrong_spec_is_exit_code_3_with_every_problem_on_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it goes to stdout."""
    path = tmp_path / "spec.yaml"
    path.write_text("nmae: x\nplatform: z\n")
    assert main(["lock", str(path)]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"error: {path}:1: unknown key 'nmae' (did you mean name?)",
        f"error: {path}:2: platform 'z' is not supported (use linux/amd64 or linux/arm64)",
    ]


def test_a_missing_lock_under_locked_is_exit_code_4_with_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hint is the command to run."""
    path = tmp_path / "spec.yaml"
    path.write_text("name: x\n")
    assert main(["build", "--locked", str(path)]) == 4
    assert capsys.readouterr().err.splitlines()[-2:] == [
        f"error: there is no {tmp_path / 'pylock.toml'}",
        f"hint: run `imagekit lock {path}`",
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_one_destination_holds_one_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two images into one place would be a race for it."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.spec.yaml").write_text(f"name: {name}\n")
    assert main(["build", str(tmp_path), "--to", f"oci:{tmp_path}/image"]) == 2
    assert "--to takes one image" in capsys.readouterr().err


def test_an_interrupt_is_exit_code_130(tmp_path: Path) -> None:
    """As shells report a program that Ctrl-C ended."""
    code = (
        "import sys, imagekit.cli.main as m\n"
        "@m.click.command()\n"
        "def stop(): raise KeyboardInterrupt\n"
        "sys.modules['imagekit.cli.build'] = type(sys)('x')\n"
        "sys.modules['imagekit.cli.build'].command = stop\n"
        "sys.exit(m.main(['build']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )
    assert ran.returncode == 130
    assert ran.stdout == ""
