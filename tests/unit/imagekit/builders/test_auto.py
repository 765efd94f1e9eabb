# SPDX-License-Identifier: Apache-2.0
"""What `builder: auto` comes to, and what it says of that."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagekit.builders.auto import choose, settled
from imagekit.lock import file
from imagekit.lock.model import Lock
from imagekit.spec.model import ImageSpec
from tests.unit.imagekit.builders.project import OTHER, PLATFORM, Project

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def lock(project: Project, *, here: bool = True) -> list[Lock]:
    return project.locks({PLATFORM if here else OTHER: ()})


def spec(**fields: object) -> ImageSpec:
    return ImageSpec(name="thing", builder="auto", **fields)  # type: ignore[arg-type]


def test_what_runs_nothing_is_for_the_native_builder(project: Project) -> None:
    """Whatever else is there, and for any platform."""
    environ = {"BUILDKIT_HOST": "unix:///w"}
    for here in (True, False):
        name, why = choose(spec(), project.path, lock(project, here=here), environ)
        assert (name, why) == ("native", "which can do all of this spec")


@pytest.mark.parametrize(
    ("environ", "name", "reason"),
    [
        ({"BUILDKIT_HOST": "unix:///w"}, "buildkit", "a BuildKit worker is named"),
        (NO_ENGINE, "native", "connecting to the Docker Engine at unix:///nonexistent"),
    ],
)
def test_what_this_machine_can_not_run_is_for_what_the_user_has(
    project: Project, environ: Mapping[str, str], name: str, reason: str
) -> None:
    """And the reason says what was looked for."""
    chosen, why = choose(spec(commands=["true"]), project.path, lock(project, here=False), environ)
    assert chosen == name
    assert f"can't run what has to be run for {OTHER}" in why
    assert reason in why


def test_an_engine_that_answers_is_taken(project: Project, tmp_path: Path) -> None:
    """Where no worker is named; of several platforms it can keep one only."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "engine"))
        listener.listen()
        environ = {"DOCKER_HOST": f"unix://{tmp_path}/engine"}
        one = lock(project, here=False)
        assert choose(spec(commands=["true"]), project.path, one, environ)[0] == "docker"
        both = project.locks({PLATFORM: (), OTHER: ()})
        name, why = choose(spec(commands=["true"]), project.path, both, environ)
    assert (name, why.rpartition(": ")[2]) == (
        "native",
        "no BuildKit worker is named, and a Docker Engine keeps images of one platform",
    )


@pytest.mark.parametrize("scripts", [[], ["openssh-server"]])
def test_what_a_base_that_is_a_spec_runs_counts(project: Project, scripts: list[str]) -> None:
    """Its commands, and the scripts of its Debian packages: the image is made from the first on.

    Other builders run all commands at the end, so where something stands on them none is chosen.
    """
    base = project.root / "base.yaml"
    base.write_text("name: base\n" if scripts else "name: base\ncommands: ['true']\n")
    (locked,) = lock(project, here=False)
    apt = {"packages": [], "scripts": scripts}
    file.write(file.lock_path(base), [dataclasses.replace(locked, apt=apt)])
    child = spec(base_image="base.yaml", builder_options={"address": "unix:///w"})
    assert choose(child, project.path, [locked], NO_ENGINE)[0] == "buildkit"
    if not scripts:
        more = spec(base_image="base.yaml", source_root="src")
        name, why = choose(more, project.path, [locked], {"BUILDKIT_HOST": "unix:///w"})
        assert name == "native"
        assert "commands of the base's spec have to run before anything stands on it" in why
    base.write_text("name: base\n")
    file.write(file.lock_path(base), [locked])
    assert choose(child, project.path, [locked], NO_ENGINE)[0] == "native"


def test_options_of_others_are_left_behind(project: Project) -> None:
    """They are for the builders that were not chosen."""
    options = {"address": "unix:///w", "debian_mirror": "http://mirror.example/debian"}
    found = settled(spec(builder_options=options), project.path, lock(project))
    assert found.builder == "native"
    assert dict(found.builder_options) == {"debian_mirror": "http://mirror.example/debian"}
