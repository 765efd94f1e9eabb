# SPDX-License-Identifier: Apache-2.0
"""`imagekit init`: a first spec that loads, and what it leaves out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from imagekit.cli.main import main
from imagekit.spec.load import load_spec

PROJECT = """
[project]
name = "My.Project"
requires-python = ">=3.12"
dependencies = ["numpy>=2", "thing @ hg+https://h.example/thing", "entrypoint"]
dynamic = ["version"]
scripts = {run = "my_project:main"}
[project.optional-dependencies]
plot = ["matplotlib"]
[dependency-groups]
dev = ["pytest"]
"""


def init(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, object], list[str]]:
    assert main(["init", str(folder), "--output", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    load_spec(folder / "spec.yaml")
    return yaml.safe_load((folder / "spec.yaml").read_text()), said["left_out"]


def test_a_project_becomes_a_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what an image can hold; everything else is told."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "src").mkdir()
    spec, left_out = init(tmp_path, capsys)
    assert spec == {
        "name": "my-project",
        "python_version": "3.13",
        "packages": ["numpy>=2"],
        "source_root": "src",
    }
    told = "\n".join(left_out)
    for word in ("hg+https", "entrypoint can't", "plot: add what", "dev: add", "scripts run"):
        assert word in told
    assert main(["init", str(tmp_path)]) == 3
    assert "is there already" in capsys.readouterr().err


def test_a_lock_is_taken_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Extras and groups are for the user to choose."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "uv.lock").write_text("version = 1\n")
    (tmp_path / "My_Project").mkdir()
    spec, left_out = init(tmp_path, capsys)
    assert (spec["requirements"], spec["copy"]) == ("uv.lock", ["My_Project"])
    assert "packages" not in spec
    assert any("plot: name them as extras" in line for line in left_out)


def test_a_requirements_file_is_named_or_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Read where a line of it can't be in an image: that one is told with its number."""
    (tmp_path / "requirements.txt").write_text("six\nidna  # names\n")
    spec, left_out = init(tmp_path, capsys)
    assert spec["requirements"] == "requirements.txt"
    assert [line.partition(":")[0] for line in left_out] == ["source"]
    (tmp_path / "spec.yaml").unlink()
    (tmp_path / "requirements.txt").write_text("six\nsvn+https://h.example/x\nidna  # names\n")
    spec, left_out = init(tmp_path, capsys)
    assert spec["packages"] == ["six", "idna"]
    assert left_out[0].startswith("requirements.txt, line 2:")


def test_what_is_read_of_a_requirements_file_is_all_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what it includes; what packages can't say is told, and no password."""
    digest = "0" * 64
    (tmp_path / "requirements.txt").write_text(
        "-i https://user:secret@h.example/simple\n-c bounds.txt\n-r more.txt\n"
        f"six==1.17 \\\n    --hash=sha256:{digest}\n-e .\n"
    )
    (tmp_path / "more.txt").write_text("attrs\n-e ./lib\n")
    (tmp_path / "bounds.txt").write_text("six<2\n")
    spec, left_out = init(tmp_path, capsys)
    assert spec["packages"] == ["attrs", "six==1.17"]
    told = "\n".join(left_out)
    assert "more.txt, line 2: '-e ./lib'" in told
    assert "requirements.txt, line 6: '-e .'" in told
    assert "'-i https://***@h.example/simple'" in told
    assert "'-c bounds.txt'" in told
    assert "hashes of six" in told
    assert "secret" not in told


def test_a_folder_without_a_project_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And so is a file that does not read."""
    assert main(["init", str(tmp_path)]) == 3
    assert "has no pyproject.toml and no requirements.txt" in capsys.readouterr().err
    (tmp_path / "pyproject.toml").write_text("[project")
    assert main(["init", str(tmp_path)]) == 3
    assert "does not read" in capsys.readouterr().err
