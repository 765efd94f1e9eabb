# SPDX-License-Identifier: Apache-2.0
"""A build that would do nothing is answered from its receipt; anything else is not."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagekit.oci.store import Store
from tests.golden.compare import check_golden
from tests.unit.imagekit.fleet.fleet_project import Fleet
from tests.unit.imagekit.receipts.program import Ran, run

SPEC = "name: thing\nsource_root: src\n"
LOADED = Path(__file__).parent / "loaded.txt"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with pytest.MonkeyPatch.context() as patch:
        made = Fleet(tmp_path_factory.mktemp("receipts"), patch)
        patch.delenv("PYTEST_CURRENT_TEST", raising=False)
        made.write("one", SPEC, made.project.wheel("alpha"))
        (made.root / "one/src/link").symlink_to("task.py")
        made.write("two", "name: two\n", made.project.wheel("beta"))
        assert build().code == 0
        yield made


@pytest.fixture(autouse=True)
def _same_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)


def build(*words: str) -> Ran:
    return run("build", *(words or ("one",)), "--locked")


def test_nothing_changed_is_answered_with_the_same_words(fleet: Fleet) -> None:
    """And next to nothing is loaded: of imagekit the listed modules, of other packages none."""
    first = build()
    again = build()
    assert again.from_receipt
    assert (0, first.stdout) == (again.code, again.stdout)
    ours = [name for name in again.modules if name.startswith("imagekit")]
    check_golden(LOADED, "".join(f"{name}\n" for name in ours))
    packages = {name.partition(".")[0] for name in again.modules} - set(sys.stdlib_module_names)
    assert {"imagekit"} == packages
    assert {"dataclasses", "http.client", "inspect", "pathlib", "ssl"}.isdisjoint(again.modules)


def _keep_time(path: Path, change: Callable[[Path], object]) -> None:
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace_link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _turn_into_link(path: Path) -> None:
    path.rename(path.with_name("other.py"))
    path.symlink_to("other.py")


CHANGES: dict[str, Callable[[Path], object]] = {
    "other text of the same length and time": lambda place: _keep_time(
        place / "src/task.py", lambda path: path.write_text(path.read_text()[::-1])
    ),
    "a new file": lambda place: (place / "src/new.py").write_text(""),
    "an executable": lambda place: (place / "src/task.py").chmod(0o755),
    "a link that leads elsewhere": lambda place: _replace_link(place / "src/link", "."),
    "a file that became a link": lambda place: _turn_into_link(place / "src/task.py"),
    "a name in the spec": lambda place: (place / "spec.yaml").write_text(
        (place / "spec.yaml").read_text().replace("name: thing", "name: other")
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_enters_the_image_and_changed_is_built(fleet: Fleet, what: str) -> None:
    """However little of it shows; and then that image has its receipt."""
    before = build()
    CHANGES[what](fleet.root / "one")
    changed = build()
    assert (0, False) == (changed.code, changed.from_receipt)
    assert changed.stdout != before.stdout
    again = build()
    assert (True, changed.stdout) == (again.from_receipt, again.stdout)


def test_a_comment_is_looked_at_and_changes_nothing(fleet: Fleet) -> None:
    """Its meaning is not known before the spec is read."""
    before = build()
    path = fleet.root / "one/spec.yaml"
    path.write_text(path.read_text() + "# a comment\n")
    changed = build()
    assert not changed.from_receipt
    assert changed.stdout == before.stdout


def _index(change: Callable[[list[dict[str, object]]], object]) -> None:
    path = Path(os.environ["XDG_DATA_HOME"]) / "imagekit/store/index.json"
    index = json.loads(path.read_text())
    change(index["manifests"])
    path.write_text(json.dumps(index))


def _remove_layer() -> None:
    layer = Store().find(build().stdout.strip()).layers[-1]
    root = Path(os.environ["XDG_DATA_HOME"]) / "imagekit/store/blobs/sha256"
    (root / layer.digest.removeprefix("sha256:")).unlink()


PLACES: dict[str, Callable[[], object]] = {
    "the store is gone": lambda: shutil.rmtree(
        Path(os.environ["XDG_DATA_HOME"]) / "imagekit/store"
    ),
    "the name is gone": lambda: _index(lambda entries: entries.clear()),
    "the name is another's": lambda: _index(
        lambda entries: [each.update(digest="sha256:" + "0" * 64) for each in entries]
    ),
    "a layer is gone": _remove_layer,
}


@pytest.mark.parametrize("what", PLACES)
def test_an_image_that_is_not_in_its_place_is_brought_there(fleet: Fleet, what: str) -> None:
    """From the caches, as a build does it."""
    before = build()
    PLACES[what]()
    again = build()
    assert not again.from_receipt
    assert again.stdout == before.stdout
    assert Store().find(again.stdout.strip()).digest in again.stdout
    assert build().from_receipt


def test_other_words_variables_and_folders_are_other_commands(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receipt answers the very command that left it."""
    build()
    assert build().from_receipt
    assert not build("./one").from_receipt
    assert not run("build", "../one", "--locked", cwd=fleet.root / "two").from_receipt
    monkeypatch.setenv("IMAGEKIT_LAYER_CACHE", "")
    assert not build().from_receipt


def test_where_an_image_went_last_counts(fleet: Fleet) -> None:
    """`imagekit inspect` and `why` look there, so a build to another place is done."""
    build()
    elsewhere = ("one", "--to", f"oci:{fleet.root / 'layout'}")
    assert not build(*elsewhere).from_receipt
    assert build(*elsewhere).from_receipt
    assert not build().from_receipt


def test_several_images_have_one_receipt(fleet: Fleet) -> None:
    """A line for each, in their order; one that changed has them all looked at."""
    first = build("one", "two")
    # A build may leave none: what changed just before it was read is unknown.
    tries = (build("one", "two") for _ in range(3))
    again = next(ran for ran in tries if ran.from_receipt)
    assert first.stdout == again.stdout
    (fleet.root / "two/src/task.py").write_text("x = 2\n")
    assert build("one", "two").from_receipt  # it is no source of the image
    path = fleet.root / "two/spec.yaml"
    path.write_text(path.read_text() + "env: {A: b}\n")
    assert not build("one", "two").from_receipt


@pytest.mark.parametrize("content", [b"{", b'{"files": {"/": 1}}'])
def test_a_damaged_receipt_is_none(fleet: Fleet, content: bytes) -> None:
    """The build is done, and leaves a whole one."""
    before = build()
    for path in (fleet.project.cache / "imagekit/receipts").iterdir():
        path.write_bytes(content)
    again = build()
    assert not again.from_receipt
    assert again.stdout == before.stdout
    assert build().from_receipt


def test_what_a_receipt_stands_for_counts_as_used(fleet: Fleet) -> None:
    """`imagekit gc` removes what was used longest ago."""
    build()
    (image,) = [each for each in Store().list() if each.digest in build().stdout]
    assert build().from_receipt
    (later,) = [each for each in Store().list() if each.name == image.name]
    assert later.last_used_ns > image.last_used_ns


def test_a_failure_leaves_no_receipt(fleet: Fleet) -> None:
    """It is told each time."""
    (fleet.root / "two/pylock.toml").rename(fleet.root / "lock")
    assert [4, 4] == [build("two").code for _ in range(2)]
    (fleet.root / "lock").rename(fleet.root / "two/pylock.toml")
