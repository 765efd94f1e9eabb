# SPDX-License-Identifier: Apache-2.0
"""Whole runs: resolvers, asynchronous tasks, files, dataclasses, and records."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import imagekit
from entrypoint.errors import UnsupportedError
from entrypoint.storage import storage_for
from entrypoint.wire.plain import plain_map
from tests.unit.entrypoint.workdir import Workdir

ROOT = str(Path(__file__).parents[3])


def test_execute_writes_outputs_and_nothing_else(workdir: Workdir) -> None:
    """inputs.pb in, outputs.pb out, under both spellings and Flyte's resolver name."""
    workdir.module("good", "def add(x: int, y: int = 10) -> int:\n    return x + y\n")
    workdir.inputs({"x": 1})
    resolver = "flytekit.core.python_auto_container.default_task_resolver"
    result = workdir.execute("good:add", "--resolver", resolver, verb="pyflyte-execute")
    assert (result.code, result.stdout, result.stderr) == (0, "", "")
    assert os.listdir(workdir.prefix) == ["outputs.pb"]
    assert plain_map(workdir.outputs()) == {"o0": 11}


def test_a_dotted_task_a_task_object_and_a_decorated_function_run(workdir: Workdir) -> None:
    """A nested attribute, `@task`, and functools.wraps are all seen through."""
    workdir.module(
        "kinds",
        "import functools\n"
        "from imagekit import task\n"
        "class Holder:\n"
        "    @staticmethod\n"
        "    def nested(x: int) -> int:\n        return x + 1\n"
        "    @classmethod\n"
        "    def bound(cls, x: int) -> str:\n        return cls.__name__ * x\n"
        "def logged(function):\n"
        "    @functools.wraps(function)\n"
        "    def wrapper(*args, **kwargs):\n        return function(*args, **kwargs)\n"
        "    return wrapper\n"
        "@task\n@logged\ndef both(x: int) -> int:\n    return x + 2\n",
    )
    workdir.environ["PYTHONPATH"] = ROOT
    said = [
        json.loads(workdir.run("call", f"kinds:{name}", "x=1").stdout)["o0"]
        for name in ("Holder.nested", "Holder.bound", "both")
    ]
    assert said == [2, "Holder", 3]


def test_a_coroutine_function_is_run_to_its_end(workdir: Workdir) -> None:
    """And what it raises is the user's error, from the user's frame on."""
    workdir.module(
        "later",
        "import asyncio\n"
        "async def task(x: int) -> int:\n"
        "    await asyncio.sleep(0)\n"
        "    if x:\n        raise ValueError(x)\n"
        "    return x\n",
    )
    workdir.inputs({"x": 0})
    assert workdir.execute("later:task").code == 0
    workdir.inputs({"x": 1})
    assert workdir.execute("later:task").code == 10
    assert "runners.py" not in workdir.error()["message"]


def test_any_importable_resolver_runs(workdir: Workdir) -> None:
    """An object with load_task, found by its dotted name, gets the words after -- as they are."""
    workdir.module(
        "mine",
        "class Resolver:\n"
        "    def load_task(self, loader_args):\n"
        "        def task(x: int) -> list[str]:\n"
        "            return loader_args * x\n"
        "        return task\n"
        "resolver = Resolver()\n",
    )
    workdir.inputs({"x": 2})
    result = workdir.run(
        *("execute", "--inputs", "inputs.pb", "--output-prefix", "out"),
        *("--resolver", "mine.resolver", "--", "a", "--b"),
    )
    assert result.code == 0, result.stderr
    assert plain_map(workdir.outputs()) == {"o0": ["a", "--b", "a", "--b"]}


def test_files_and_dataclasses_travel_between_tasks(workdir: Workdir) -> None:
    """The outputs of one call are the inputs of the next, as files and as JSON."""
    workdir.module(
        "chain",
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from imagekit import Directory, File\n"
        "@dataclass\n"
        "class Result:\n    score: float\n    model: File\n"
        "def train(rate: float) -> Result:\n"
        "    import os; os.makedirs('elsewhere'); os.chdir('elsewhere')\n"
        "    open('model.bin', 'w').write('m' * 9)\n"
        "    return Result(rate * 2, File('model.bin'))\n"
        "def use(o0: Result) -> tuple[int, float]:\n"
        "    return len(o0.model.open().read()), o0.score\n",
    )
    workdir.environ["PYTHONPATH"] = ROOT
    first = workdir.run("call", "--output-prefix", "out", "chain:train", "rate=0.25")
    assert first.code == 0, first.stderr
    path = json.loads((workdir.prefix / "outputs.json").read_text())["o0"]["model"]["path"]
    assert path.startswith(f"{workdir.prefix}/")
    (workdir.path / "elsewhere" / "model.bin").unlink()
    for source in ("out/outputs.json", "out/outputs.pb"):
        second = workdir.run("call", "--inputs", source, "chain:use")
        assert json.loads(second.stdout) == {"o0": 9, "o1": 0.5}, second.stderr


def test_json_in_means_json_out_as_well(workdir: Workdir) -> None:
    """`execute` with a JSON file leaves both forms."""
    workdir.module("good", "def add(x: int) -> dict[str, int]:\n    return {'y': x}\n")
    (workdir.path / "in.json").write_text('{"x": 3}')
    result = workdir.run(
        *("execute", "--inputs", "in.json", "--output-prefix", "out"),
        *("--", "task-module", "good", "task-name", "add"),
    )
    assert result.code == 0, result.stderr
    assert json.loads((workdir.prefix / "outputs.json").read_text()) == {"o0": {"y": 3}}
    assert plain_map(workdir.outputs()) == {"o0": {"y": 3}}


def test_a_storage_that_nobody_has_is_named() -> None:
    """No guess, no traceback."""
    with pytest.raises(UnsupportedError, match="nobodys://"):
        storage_for("nobodys://bucket").fetch("nobodys://bucket/key")


def test_what_is_stored_replaces_what_was_there_at_once(tmp_path: Path) -> None:
    """A failing copy leaves the old file, and nothing half written beside it."""
    storage = storage_for(str(tmp_path))
    target = f"file://{tmp_path}/deep/file"
    storage.store(b"old", target)
    with pytest.raises(FileNotFoundError):
        storage.store(str(tmp_path / "missing"), target)
    assert os.listdir(tmp_path / "deep") == ["file"]
    storage.store(b"new", target)
    assert Path(storage.fetch(target)).read_bytes() == b"new"


def test_imagekit_hands_out_its_names_lazily() -> None:
    """Each public name resolves, dir() shows them, and others are AttributeErrors."""
    assert set(imagekit.__all__) <= set(dir(imagekit))
    assert imagekit.__all__ == sorted(imagekit.__all__)
    for name in imagekit.__all__:
        assert getattr(imagekit, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = imagekit.Nothing  # type: ignore[attr-defined]


def test_a_task_is_callable_as_its_function_and_knows_its_image() -> None:
    """With and without arguments to the decorator."""

    @imagekit.task
    def plain(x: int) -> int:
        """Adds one."""
        return x + 1

    @imagekit.task(image="registry.example/a:1")
    def pinned(x: int) -> int:
        return x + 2

    assert (plain(1), plain.image, plain.__doc__) == (2, None, "Adds one.")
    assert (pinned(x=1), pinned.image) == (3, "registry.example/a:1")
    not_a_function: Any = 3
    with pytest.raises(TypeError, match="decorates a function, not int"):
        imagekit.task(not_a_function)
