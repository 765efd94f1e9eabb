# SPDX-License-Identifier: Apache-2.0
"""`fetch` and `inputs`: files for a pod's other containers."""

from __future__ import annotations

import json

import pytest

from entrypoint.wire.protobuf import encode
from tests.unit.entrypoint.workdir import Workdir, literal


def test_inputs_are_written_as_files(workdir: Workdir) -> None:
    """Values in one JSON file; what is a file or a folder is beside it, under its name."""
    (workdir.path / "data").mkdir()
    (workdir.path / "data/a.txt").write_text("a")
    folder = {"metadata": {"type": {"dimensionality": 1}}, "uri": str(workdir.path / "data")}
    values = {"number": literal(5), "folder": {"scalar": {"blob": folder}}}
    (workdir.path / "inputs.pb").write_bytes(encode("LiteralMap", {"literals": values}))
    done = workdir.run("inputs", "--inputs", "inputs.pb", "out")
    assert done.code == 0, done.stderr
    found = json.loads((workdir.path / "out/inputs.json").read_text())
    assert found == {"number": 5, "folder": {"path": "out/folder"}}
    assert (workdir.path / "out/folder/a.txt").read_text() == "a"
    assert (workdir.path / "data/a.txt").exists()


def test_a_file_is_fetched_whole_or_not_at_all(workdir: Workdir) -> None:
    """Under its own name in the end; what an earlier attempt left is no hindrance."""
    (workdir.path / "a.txt").write_text("a")
    (workdir.path / "deep").mkdir()
    (workdir.path / "deep/b.txt.partial").mkdir()
    done = workdir.run("fetch", "a.txt", "deep/b.txt")
    assert done.code == 0, done.stderr
    assert (workdir.path / "deep/b.txt").read_text() == "a"
    lost = workdir.run("fetch", "https://user:word@127.0.0.1:1/none", "c.txt")
    assert lost.code != 0
    assert "word" not in lost.stderr
    assert not (workdir.path / "c.txt").exists()


@pytest.mark.parametrize(
    "words", [("fetch", "a"), ("inputs", "out"), ("inputs", "--inputs", "x"), ("fetch",)]
)
def test_a_command_that_lacks_a_word_is_refused(workdir: Workdir, words: tuple[str, ...]) -> None:
    """With the code of a wrong command line."""
    assert workdir.run(*words).code == 2
