# SPDX-License-Identifier: Apache-2.0
"""The verbs, as far as they go without an engine or a network."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from imagekit.cli.main import main
from imagekit.cli.run import _folders, _stdout_on_stderr, _written
from imagekit.errors import EngineError
from imagekit.oci.assemble import Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.layout import write_layout
from imagekit.oci.store import Store


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An OCI layout with an image of no layers."""
    image = assemble(
        None, [], Settings(entrypoint=["/bin/task"], labels={"a": "b"}), platform=Platform()
    )
    write_layout(image, tmp_path / "image", "team/iris:1")
    return tmp_path / "image"


def test_inspect_prints_facts_or_json(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both hold the same; stderr stays empty."""
    assert main(["inspect", f"oci:{layout}"]) == 0
    shown = capsys.readouterr()
    assert main(["inspect", f"oci:{layout}", "--output", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["entrypoint"] == ["/bin/task"]
    assert data["digest"] in shown.out
    assert shown.err == ""


def test_inspect_finds_what_a_build_put_into_the_store(
    layout: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A name without transport is one of the local store's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    image = assemble(None, [], Settings(user="7"), platform=Platform())
    Store().add(image, "team/iris:2")
    assert main(["inspect", "team/iris:2", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["user"] == "7"
    assert main(["inspect", "team/other"]) == 7
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: no image 'team/other' in the local store\nhint: ")


def test_a_registry_that_can_not_be_asked_is_its_own_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Registries are not mistaken for names in the store, nor a failure for an absent image."""
    assert main(["inspect", "docker://registry.invalid/x:1"]) == 9
    assert "registry.invalid" in capsys.readouterr().err


def test_run_needs_an_image_that_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is neither a spec nor in the store is an error, not a build."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert main(["run", "gone", "tasks:train", "depth=3"]) == 7
    assert "no image 'gone' in the local store" in capsys.readouterr().err


def test_programs_that_run_starts_print_to_stderr() -> None:
    """What a task prints is no data of ours; stdout is as before afterwards."""
    code = (
        "import subprocess\n"
        "from imagekit.cli.run import _stdout_on_stderr\n"
        "print('before')\n"
        "with _stdout_on_stderr(): subprocess.run(['echo', 'task'])\n"
        "print('after')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("before\nafter\n", "task\n")


def test_stdout_comes_back_after_an_error() -> None:
    """Also when the engine fails."""
    before = os.fstat(1).st_ino
    with pytest.raises(EngineError), _stdout_on_stderr():
        raise EngineError("no")
    assert os.fstat(1).st_ino == before


def test_folders_of_our_own_go_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing stays of a run that returned values alone."""
    inputs = tmp_path / "in.json"
    inputs.write_text("{}")
    with _folders(inputs, None) as folders:
        (folders.outputs / "outputs.json").write_text("1")
        assert folders.inputs is not None
        assert [entry.name for entry in folders.inputs.iterdir()] == ["inputs.json"]
        assert folders.outputs.stat().st_mode & 0o777 == 0o777
        assert folders.outputs.parent.stat().st_mode & 0o077 == 0
    assert not folders.outputs.parent.exists()
    assert capsys.readouterr().err == ""


def test_files_that_a_task_returned_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their folder is named, as the outputs point into it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with _folders(None, None) as folders:
        (folders.outputs / "model.bin").write_bytes(b"1")
    assert capsys.readouterr().err == f"files of the task are in {folders.outputs}\n"
    assert (folders.outputs / "model.bin").exists()


def test_a_folder_that_was_asked_for_keeps_everything(tmp_path: Path) -> None:
    """`--outputs` makes it where it is missing."""
    with _folders(None, tmp_path / "a" / "b") as folders:
        (folders.outputs / "outputs.json").write_text("1")
    assert (tmp_path / "a" / "b" / "outputs.json").exists()


def test_an_image_that_runs_no_tasks_is_told(tmp_path: Path) -> None:
    """Success without outputs is not taken for a result."""
    with pytest.raises(EngineError, match="wrote no outputs"):
        _written(tmp_path / "outputs.json")
