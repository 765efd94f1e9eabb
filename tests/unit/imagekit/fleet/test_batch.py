# SPDX-License-Identifier: Apache-2.0
"""Several images in one call of `imagekit build`."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from imagekit.builders.model import Built
from imagekit.cli.main import program
from imagekit.errors import BuildError
from imagekit.fleet.batch import build_all
from imagekit.fleet.find import find_specs
from imagekit.oci.store import Store
from tests.unit.imagekit.fleet.fleet_project import Fleet


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(tmp_path, monkeypatch)


def test_all_specs_of_a_folder_are_built(fleet: Fleet) -> None:
    """A line for each, in the order of the specs, and each image in the store."""
    alpha, beta = fleet.project.wheel("alpha"), fleet.project.wheel("beta")
    fleet.write("b", "name: team/b\n", alpha)
    fleet.write("a", "name: team/a\nmatrix: {user: ['1', '2']}\n", alpha, beta)

    result = CliRunner().invoke(program, ["build", ".", "--locked", "--jobs", "3"])

    assert 0 == result.exit_code, result.stderr
    repositories = [line.partition("@")[0] for line in result.stdout.splitlines()]
    assert ["team/a", "team/a", "team/b"] == repositories
    assert "built 3 images" == result.stderr.splitlines()[-1]
    stored = {f"{image.name.partition(':')[0]}@{image.digest}" for image in Store().list()}
    assert stored == set(result.stdout.splitlines())


def test_one_that_fails_does_not_stop_the_others(fleet: Fleet) -> None:
    """It is told at the end, with its spec and its hint; the exit code is its own."""
    fleet.write("a", "name: team/a\n")
    fleet.write("b", "name: team/b\n")
    fleet.write("c", "name: team/c\n")
    (fleet.root / "b" / "pylock.toml").unlink()

    words = ["build", "a", "b", "c", "--locked"]
    result = CliRunner().invoke(program, words, standalone_mode=False)

    assert 4 == result.return_value
    assert ["team/a", "team/c"] == [line.partition("@")[0] for line in result.stdout.splitlines()]
    assert [
        "error: b/spec.yaml: there is no b/pylock.toml",
        "hint: run `imagekit lock b/spec.yaml`",
        "built 2 images, 1 failed",
    ] == result.stderr.splitlines()[-3:]
    data = json.loads(CliRunner().invoke(program, [*words, "--output", "json"]).stdout)
    assert ["a/spec.yaml", "c/spec.yaml", "b/spec.yaml"] == [entry["spec"] for entry in data]
    assert "there is no b/pylock.toml" == data[2]["error"]


def test_the_largest_are_begun_first(fleet: Fleet) -> None:
    """One without a lock counts as the largest: nobody knows what it will be."""
    big = fleet.project.wheel("alpha", module="a" * 60)
    fleet.write("a-small", "name: a\n")
    fleet.write("b-large", "name: b\n", big, fleet.project.wheel("beta"))
    fleet.write("c-middle", "name: c\n", big)
    fleet.write("d-unknown", "name: d\n")
    (fleet.root / "d-unknown" / "pylock.toml").unlink()
    begun: list[str] = []

    def build_one(address: Path) -> Built:
        begun.append(address.parent.name)
        raise BuildError("told")

    outcomes = list(build_all(find_specs(["."]), build_one, 1))

    assert ["d-unknown", "b-large", "c-middle", "a-small"] == begun
    assert sorted(begun) == [outcome.address.parent.name for outcome in outcomes]
    assert {"told"} == {outcome.error.message for outcome in outcomes if outcome.error}


def test_of_those_with_the_same_packages_one_is_begun_first(fleet: Fleet) -> None:
    """The others find its layers made, instead of making them at the same time."""
    big = fleet.project.wheel("alpha", module="a" * 60)
    small = fleet.project.wheel("beta")
    fleet.write("a-small", "name: a\n", small)
    for name in ("b-large", "c-large"):
        fleet.write(name, f"name: {name}\n", big, small)
    begun: list[str] = []

    def build_one(address: Path) -> Built:
        begun.append(address.parent.name)
        raise BuildError("told")

    list(build_all(find_specs(["."]), build_one, 1))

    assert ["b-large", "a-small", "c-large"] == begun


def test_as_many_are_built_at_once_as_asked(fleet: Fleet) -> None:
    """Each waits for another one, and no third is there."""
    for name in "abcdef":
        fleet.write(name, f"name: {name}\n")
    pair = threading.Barrier(2)
    lock = threading.Lock()
    running, most = set(), 0

    def build_one(address: Path) -> Built:
        nonlocal most
        with lock:
            running.add(address)
            most = max(most, len(running))
        pair.wait(30)
        with lock:
            running.remove(address)
        raise BuildError("met another")

    outcomes = list(build_all(find_specs(["."]), build_one, 2))

    assert ["met another"] * 6 == [outcome.error.message for outcome in outcomes if outcome.error]
    assert 2 == most
