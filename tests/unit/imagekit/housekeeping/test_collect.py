# SPDX-License-Identifier: Apache-2.0
"""Caches that are bounded while others use them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imagekit import usage
from imagekit.housekeeping.collect import Limits, collect
from imagekit.housekeeping.survey import CacheEntry, survey
from imagekit.layers.cache import LayerCache
from imagekit.layers.writer import LayerWriter
from imagekit.oci.layout import read_layout
from imagekit.oci.store import Store
from imagekit.oci.validate import validate
from tests.fakes.images import image_of

DAY = 86400


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "cache" / "imagekit"


def add_layer(name: str, size_bytes: int = 1000, *, days_unused: int = 0) -> Path:
    def write(writer: LayerWriter) -> None:
        writer.file(name, os.urandom(size_bytes))

    path = LayerCache().make(name, write).path
    used = time.time() - days_unused * DAY
    os.utime(path, (used, used))
    return path


def add_base(cache: Path, name: str, *, days_unused: int) -> Path:
    folder = cache / "debian" / name / "root" / "usr"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(bytes(5000))
    used = time.time() - days_unused * DAY
    os.utime(cache / "debian" / name, (used, used))
    return cache / "debian" / name


def names(entries: tuple[CacheEntry, ...]) -> set[str]:
    return {entry.path.name for entry in entries}


def test_what_was_not_used_for_long_goes(cache: Path) -> None:
    """Files and folders alike; what was used since stays."""
    old, new = add_layer("old", days_unused=40), add_layer("new", days_unused=2)
    base = add_base(cache, "base", days_unused=40)

    collected = collect(cache, Store(), Limits(age_seconds=30 * DAY))

    assert {old.name, base.name} == names(collected.removed)
    assert (False, True, False) == (old.exists(), new.exists(), base.exists())
    assert [] == list((cache / "trash").iterdir())


def test_the_size_is_kept_by_removing_what_was_used_longest_ago(cache: Path) -> None:
    """And no more than that."""
    paths = [add_layer(f"layer-{day}", 10_000, days_unused=day) for day in (1, 2, 3, 4)]
    each = paths[0].stat().st_size

    collected = collect(cache, Store(), Limits(size_bytes=2 * each + 500))

    assert [True, True, False, False] == [path.exists() for path in paths]
    assert 2 * each - 500 < collected.freed_bytes < 2 * each + 500


def test_asking_for_an_entry_keeps_it(cache: Path) -> None:
    """The age counts from the last use, not from when it was made."""
    path = add_layer("layer", days_unused=40)
    assert LayerCache().find("layer") is not None

    collect(cache, Store(), Limits(age_seconds=30 * DAY))

    assert path.exists()


def test_a_dry_run_removes_nothing(cache: Path) -> None:
    """And names what would go."""
    path = add_layer("layer", days_unused=40)
    collected = collect(cache, Store(), Limits(age_seconds=DAY), dry_run=True)
    assert {path.name} == names(collected.removed)
    assert path.exists()


def test_what_a_running_build_asked_for_stays(cache: Path) -> None:
    """Whatever the limits say; what it has not asked for goes, and is made again if it does."""
    asked, other = add_layer("asked", days_unused=9), add_layer("other", days_unused=9)
    with usage.running():
        assert LayerCache().find("asked") is not None
        collected = collect(cache, Store(), Limits(size_bytes=0))
    assert (True, False) == (asked.exists(), other.exists())
    assert {asked.name} == names(collected.kept_in_use)

    collect(cache, Store(), Limits(size_bytes=0))
    assert not asked.exists()


def test_a_killed_build_holds_nothing(cache: Path) -> None:
    """Its registration went with it, however it ended."""
    script = (
        "import time; from imagekit import usage\n"
        "with usage.running():\n"
        "    print('running', flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert b"running\n" == process.stdout.readline()
        assert usage.oldest_start_ns() is not None
        process.send_signal(signal.SIGKILL)
    assert usage.oldest_start_ns() is None
    assert [] == list((cache / "running").iterdir())


def test_layers_shared_with_a_stored_image_free_nothing(cache: Path) -> None:
    """They are named with the images that hold them, and count towards no size."""
    layer = LayerCache().make("layer", lambda writer: writer.file("a", os.urandom(5000)))
    Store().add(image_of(layer), "team/image:1")

    entry = next(each for each in survey(cache, Store()) if each.kind == "layers")

    assert ("team/image:1",) == entry.images
    assert (layer.size_bytes, 0) == (entry.size_bytes, entry.frees_bytes)
    assert () == collect(cache, Store(), Limits(size_bytes=0)).removed


def _look_for_running(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        usage.oldest_start_ns()


def test_nobody_takes_a_beginning_process_for_a_dead_one(cache: Path) -> None:
    """Its file is there a moment before it is locked, and who looks then removes it."""
    context = multiprocessing.get_context("fork")
    looking = [context.Process(target=_look_for_running, args=(1.0,)) for _ in range(2)]
    for process in looking:
        process.start()
    unseen = 0
    while any(process.is_alive() for process in looking):
        with usage.running():
            unseen += usage.oldest_start_ns() is None
    for process in looking:
        process.join()

    assert unseen == 0
    assert [] == list((cache / "running").iterdir())


def _use_layers(rounds: int) -> None:
    for number in range(rounds):
        with usage.running():
            layers = [
                LayerCache().make(f"layer-{at}", lambda writer: writer.file("a", bytes(2000)))
                for at in range(number % 4, number % 4 + 3)
            ]
            for layer in layers:
                assert layer.size_bytes == len(layer.path.read_bytes())


def test_builds_never_miss_what_they_found(cache: Path) -> None:
    """Three processes find, make and read layers while another removes all that it may."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_use_layers, args=(60,)) for _ in range(3)]
    for process in processes:
        process.start()
    removed = 0
    while any(process.is_alive() for process in processes):
        removed += len(collect(cache, Store(), Limits(size_bytes=0)).removed)
    for process in processes:
        process.join()

    assert [0, 0, 0] == [process.exitcode for process in processes]
    assert removed > 0


def test_a_forgotten_image_takes_its_own_blobs_along(cache: Path, tmp_path: Path) -> None:
    """What another image needs stays, and that image stays whole."""
    shared = LayerCache().make("shared", lambda writer: writer.file("a", os.urandom(3000)))
    own = LayerCache().make("own", lambda writer: writer.file("b", os.urandom(3000)))
    store = Store()
    store.add(image_of(shared), "stays:1")
    store.add(image_of(shared, own), "goes:1")
    collect(cache, store, Limits(size_bytes=0))
    own.path.unlink()

    freed_bytes = store.remove(lambda image: image.name == "goes:1")

    assert ["stays:1"] == [image.name for image in store.list()]
    validate(store.find("stays:1"))
    blobs = tmp_path / "data" / "imagekit" / "store" / "blobs" / "sha256"
    assert not (blobs / own.digest.removeprefix("sha256:")).exists()
    assert own.size_bytes <= freed_bytes < own.size_bytes + 5000


def test_an_image_built_again_leaves_no_blobs(cache: Path, tmp_path: Path) -> None:
    """What the name stood for before goes with the next collection."""
    store = Store()
    for name in ("one", "two"):
        layer = LayerCache().make(name, lambda writer: writer.file("a", os.urandom(100)))
        store.add(image_of(layer), "image:1")

    store.remove(lambda image: False)

    image = read_layout(tmp_path / "data" / "imagekit" / "store", "image:1")
    kept = {path.name for path in (tmp_path / "data").rglob("sha256/*")}
    documents = [image.digest, image.config_digest]
    wanted = [*documents, *(layer.digest for layer in image.layers)]
    assert {digest.removeprefix("sha256:") for digest in wanted} == kept
