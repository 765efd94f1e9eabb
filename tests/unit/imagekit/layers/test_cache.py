# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imagekit.layers.cache import LayerCache
from imagekit.layers.writer import LayerWriter
from imagekit.oci.digest import of_file


def write(writer: LayerWriter) -> None:
    writer.file("a", b"content")


def test_a_recipe_is_made_once(tmp_path: Path) -> None:
    """The second request for a recipe reads what the first one made."""
    cache = LayerCache(tmp_path)
    calls = []

    def counted(writer: LayerWriter) -> None:
        calls.append(1)
        write(writer)

    first = cache.make("recipe", counted)
    second = cache.make("recipe", counted)

    assert first == second
    assert [1] == calls
    assert of_file(first.path) == first.digest


def test_two_recipes_of_one_layer_make_it_once(tmp_path: Path) -> None:
    """What the second recipe is gets asked where the first one is not known, and only there."""
    cache = LayerCache(tmp_path)
    calls = []

    def counted(writer: LayerWriter) -> None:
        calls.append("made")
        write(writer)

    def other() -> str:
        calls.append("asked")
        return "recipe"

    found = [cache.make(recipe, counted, other) for recipe in ("first", "second", "first")]

    assert ["asked", "made", "asked"] == calls
    assert {cache.find(recipe) for recipe in ("first", "second", "recipe")} == set(found)


def test_a_failed_layer_leaves_nothing(tmp_path: Path) -> None:
    """An error while a layer is written leaves no entry, no blob and no temporary file."""

    def fails(writer: LayerWriter) -> None:
        write(writer)
        raise ValueError("broken")

    cache = LayerCache(tmp_path)
    with pytest.raises(ValueError, match="broken"):
        cache.make("recipe", fails)

    assert cache.find("recipe") is None
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "locks"]
    assert [] == kept


@pytest.mark.parametrize("damage", ["truncate", "remove", "garble"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    """A blob of another size, a missing one and an unreadable entry count as not cached."""
    cache = LayerCache(tmp_path)
    layer = cache.make("recipe", write)
    layer.path.chmod(0o644)
    if damage == "truncate":
        layer.path.write_bytes(b"")
    elif damage == "remove":
        layer.path.unlink()
    else:
        next((tmp_path / "recipes").iterdir()).write_bytes(b"{")

    assert cache.find("recipe") is None
    assert layer.digest == cache.make("recipe", write).digest


def _make_slowly(root: Path, log: Path) -> None:
    def slowly(writer: LayerWriter) -> None:
        with log.open("a") as stream:
            stream.write("made\n")
        time.sleep(0.2)
        write(writer)

    LayerCache(root).make("recipe", slowly)


def test_two_processes_make_a_layer_once(tmp_path: Path) -> None:
    """Of processes that ask for one recipe at the same time, one makes it and the others wait."""
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    processes = [
        context.Process(target=_make_slowly, args=(tmp_path / "cache", log)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [0, 0, 0, 0] == [process.exitcode for process in processes]
    assert ["made"] == log.read_text().split()


def test_a_killed_build_leaves_no_broken_cache(tmp_path: Path) -> None:
    """After SIGKILL in mid-write the next run makes the layer whole and sweeps what was left."""
    script = (
        "import sys, time; from pathlib import Path; from imagekit.layers.cache import LayerCache\n"
        "def slow(writer):\n"
        "    writer.file('a', bytes(3_000_000)); print('writing', flush=True); time.sleep(60)\n"
        "LayerCache(Path(sys.argv[1])).make('recipe', slow)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    ) as process:
        assert process.stdout is not None
        assert b"writing\n" == process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    cache = LayerCache(tmp_path)
    assert cache.find("recipe") is None

    layer = cache.make("recipe", write)

    assert of_file(layer.path) == layer.digest
    assert [] == list((tmp_path / "building").iterdir())
