# SPDX-License-Identifier: Apache-2.0
"""`imagekit cache` and `imagekit gc`, as they are typed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from imagekit import usage
from imagekit.cli.main import program
from imagekit.layers.cache import LayerCache
from imagekit.oci.store import Store
from tests.fakes.images import image_of


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def run(*words: str) -> str:
    result = CliRunner().invoke(program, words)
    assert result.exit_code == 0, result.output
    return result.stdout


def stored(name: str) -> None:
    layer = LayerCache().make(name, lambda writer: writer.file("a", os.urandom(4000)))
    Store().add(image_of(layer), name)


def test_cache_shows_kinds_and_images() -> None:
    """In text a line each; in JSON every entry with the images that hold it."""
    stored("team/image:1")

    text = run("cache")
    assert "  layers          1  4.2 kB, 4.2 kB of it shared with images\n" in text
    assert "  team/image:1  last used " in text
    data = json.loads(run("cache", "--output", "json"))
    assert [["team/image:1"]] == [entry["images"] for entry in data["entries"]]


def test_gc_forgets_images_only_when_asked() -> None:
    """And then their layers are free to go, too."""
    stored("image:1")
    assert "removed 0 entries, 0 B\n" == run("gc", "--max-size", "0")
    assert "would remove 0 entries and 1 images, 0 B\n" == run("gc", "--images", "0s", "--dry-run")

    text = run("gc", "--max-size", "0", "--images", "0s")

    assert text.startswith("removed 1 entries and 1 images, ")
    assert [] == list(Store().list())


def test_gc_leaves_the_store_to_others_who_run() -> None:
    """It says so, and cleans the caches all the same."""
    stored("image:1")
    with usage.running(), usage.running():
        result = CliRunner().invoke(program, ["gc", "--images", "0s"])
    assert "others are running" in result.stderr
    assert ["image:1"] == [image.name for image in Store().list()]


@pytest.mark.parametrize("words", [["--max-size", "5q"], ["--max-age", "5"], ["--images", "x"]])
def test_sizes_and_ages_are_read_strictly(words: list[str]) -> None:
    """A number without a unit is no age."""
    result = CliRunner().invoke(program, ["gc", *words])
    assert result.exit_code == 2
    assert "such as" in result.stderr
