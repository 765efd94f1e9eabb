# SPDX-License-Identifier: Apache-2.0
"""What is found out once for several specs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagekit.answers import Answers
from imagekit.errors import LockError
from imagekit.lock import uv
from imagekit.lock.model import LockedWheel, Target

TARGET = Target("linux/amd64", "3.11.2", "/usr/bin/python3.11", "2.36")


def test_of_those_that_ask_the_same_one_finds_out() -> None:
    """The others wait for it, and get the very same; other questions don't wait."""
    answers, begun, found = Answers(), threading.Event(), []

    def find_out() -> object:
        found.append(object())
        begun.set()
        assert answers.once("other", lambda: "at once") == "at once"
        return found[0]

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(answers.once, "same", find_out) for _ in range(8)]
        assert begun.wait(30)
        got = {id(each.result()) for each in waiting}
    assert got == {id(found[0])}
    assert len(found) == 1


def test_what_was_raised_is_raised_for_all() -> None:
    """A mirror that does not answer is not asked by each of a hundred specs."""
    answers, asked = Answers(), []

    def fails() -> None:
        asked.append(1)
        raise LockError("no mirror answers")

    for _ in range(3):
        with pytest.raises(LockError, match="no mirror answers"):
            answers.once("lists", fails)
    assert asked == [1]


def request(folder: Path, **changes: object) -> uv.Request:
    fields = {
        "packages": ["pandas"],
        "requirements": None,
        "target": TARGET,
        "default_index": None,
        "indexes": (),
        "preferences": (),
        "folder": folder,
    }
    return uv.Request(**{**fields, **changes})  # type: ignore[arg-type]


def test_uv_is_asked_once_for_bases_and_folders_that_decide_nothing(tmp_path: Path) -> None:
    """Where the interpreter lies is nothing to it, nor is a folder without configuration."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    elsewhere = Target("linux/amd64", "3.11.2", "/usr/local/bin/python3", "2.36")
    question = uv.question(request(one), {"A": "1"})
    assert question == uv.question(request(other, target=elsewhere), {"A": "1"})
    (other / "uv.toml").write_text("")
    assert question != uv.question(request(other), {"A": "1"})


@pytest.mark.parametrize(
    "change",
    [
        {"packages": ["pandas", "duckdb"]},
        {"target": Target("linux/amd64", "3.11.9", "/usr/bin/python3.11", "2.36")},
        {"target": Target("linux/amd64", "3.11.2", "/usr/bin/python3.11", "2.41")},
        {"target": Target("linux/arm64", "3.11.2", "/usr/bin/python3.11", "2.36")},
        {"default_index": "https://example.org/simple"},
        {"indexes": ["https://example.org/simple"]},
        {"preferences": [LockedWheel("pandas", "2.0", "pandas-2.0-py3-none-any.whl", "0")]},
        {"constraints": ["numpy<2"]},
        {"pins": ["numpy==1.26"]},
        {"options": ["--prerelease=allow"]},
        {"may_build": None},
        {"requirements": Path("requirements.txt")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_decides_uvs_answer_is_part_of_the_question(tmp_path: Path, change: object) -> None:
    """So are its variables, and the folder where paths lead from there."""
    assert isinstance(change, dict)
    asked = uv.question(request(tmp_path), {})
    assert asked != uv.question(request(tmp_path, **change), {})
    assert asked != uv.question(request(tmp_path), {"UV_EXCLUDE_NEWER": "2026-01-01"})
    local = {"packages": ["./lib"]}
    (tmp_path / "b").mkdir()
    there = uv.question(request(tmp_path / "b", **local), {})
    assert uv.question(request(tmp_path, **local), {}) != there
