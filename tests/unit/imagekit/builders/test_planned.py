# SPDX-License-Identifier: Apache-2.0
"""Plans beside the builds that follow them."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import imagekit
from imagekit.builders.build import build
from imagekit.builders.options import Options
from imagekit.builders.planned import Planned, plan_image
from imagekit.cli.plan import _lines
from imagekit.lock import file as lock_file
from imagekit.lock.model import Lock, LockedWheel
from imagekit.progress import Silent
from imagekit.spec.digest import spec_digest
from imagekit.spec.load import load_spec
from imagekit.spec.model import ImageSpec
from tests.unit.imagekit.builders.project import OTHER, PLATFORM, Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def plan(project: Project, *wheels: LockedWheel) -> Planned:
    return plan_of(project, project.locks({PLATFORM: wheels}))


def plan_of(project: Project, locks: list[Lock]) -> Planned:
    return plan_image(project.spec, project.path, locks, Silent())


def test_a_plan_names_the_digest_that_is_then_built(project: Project) -> None:
    """From the cache; its size is that of all layers, and its tag the image's."""
    wheel = project.wheel("alpha")
    built = project.build(wheel)
    planned = plan(project, wheel)

    assert planned.digest == built.digest
    assert planned.name == f"thing:{built.tag}"
    assert planned.unknown == ()
    (platform,) = planned.platforms
    assert [layer.here for layer in platform.layers] == ["base", *["reused"] * 5]
    sizes = [layer.size_bytes for layer in platform.layers]
    assert sizes == [layer.size_bytes for layer in built.image.layers]


def test_layers_that_nobody_knows_are_named(project: Project) -> None:
    """And then there is no digest; nothing is downloaded or made but files that lie here."""
    wheel = project.wheel("alpha")
    shutil.rmtree(project.root / "index")
    planned = plan(project, wheel)

    assert planned.digest is None
    names = [name.partition(" ")[0] for name in planned.unknown]
    assert names == ["alpha==1.0", "runtime"]
    assert not (project.cache / "imagekit" / "files").exists()


def test_the_lock_tells_a_machine_that_has_built_nothing(project: Project) -> None:
    """A build leaves its layers in the lock; with them a plan is exact without any cache."""
    wheel = project.wheel("alpha")
    built = project.build(wheel)
    locks = lock_file.read(project.root / "pylock.toml")
    assert locks is not None
    shutil.rmtree(project.cache)
    planned = plan_of(project, list(locks))

    assert planned.digest == built.digest
    here = [layer.here for layer in planned.platforms[0].layers]
    assert here == ["base", *["built"] * 5]


def test_the_table_in_the_lock_changes_nothing_of_its_identity(project: Project) -> None:
    """Nor is it written again by a build that comes to the same, or under `--locked`."""
    path = project.root / "pylock.toml"
    wheel = project.wheel("alpha")
    locks = project.locks({PLATFORM: [wheel]})
    build(project.spec, project.path, locks, [], Silent(), Options(remember=False))
    assert not path.exists()
    project.build(wheel)
    before = path.stat()
    read = lock_file.read(path)
    assert read is not None
    assert read[0].digest == locks[0].digest
    build(project.spec, project.path, read, [], Silent())
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_plan_follows_every_edit_of_files(project: Project) -> None:
    """The new layer is made at once, so that the digest is known before the build."""
    project.build()
    (project.root / "src" / "task.py").chmod(0o755)
    planned = plan(project)
    layer = planned.platforms[0].layers[-1]
    assert (layer.origin, layer.here) == ("source src", "built")
    assert planned.digest == project.build().digest


def test_several_platforms_have_one_digest(project: Project) -> None:
    """That of the index, as the build prints it."""
    wheel = project.wheel("alpha")
    packages = {PLATFORM: [wheel], OTHER: [wheel]}
    built = project.build_all(packages)
    planned = plan_of(project, project.locks(packages))
    assert planned.digest == built.digest
    data = planned.to_dict()
    assert [each["platform"] for each in data["platforms"]] == [str(PLATFORM), str(OTHER)]
    assert "push" not in data


def test_who_compiles_for_another_platform_is_told(project: Project) -> None:
    """Also that nobody can: before the build is tried, with the ways out."""
    wheel = project.wheel("alpha")
    project.spec = ImageSpec(name="thing", compile_bytecode=True)
    both = plan_of(project, project.locks({PLATFORM: [wheel], OTHER: [wheel]}))
    alone = plan_of(project, project.locks({OTHER: [wheel]}))

    assert both.bytecode == ("", f"bytecode for {OTHER} is made by {PLATFORM}'s Python")
    assert both.to_dict()["platforms"][1]["bytecode"] == both.bytecode[1]
    (told,) = alone.bytecode
    assert told.startswith(f"the build will stop: this machine can't run {OTHER}")
    assert "`compile_bytecode: false`" in told
    assert both.bytecode[1] in _lines(both)


def test_what_another_platform_runs_is_told_with_who_can(project: Project) -> None:
    """No user of this machine can: a worker or engine for that platform does."""
    project.spec = ImageSpec(name="thing", compile_bytecode=False, commands=["true"])
    (told,) = plan_of(project, project.locks({OTHER: []})).running
    assert told.startswith("the build will stop: commands: this machine can't run what has to be")
    assert "`builder: buildkit` and a worker for that platform" in told
    assert "as root" not in told


@pytest.fixture
def open_project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """One that any user gets at, as pytest's own folders are not."""
    with tempfile.TemporaryDirectory() as folder:
        yield Project(Path(folder), monkeypatch)


@pytest.mark.root
def test_what_can_not_be_run_here_is_told_before_it_is_built(open_project: Project) -> None:
    """To a user without subordinate IDs: owners would be lost; another builder keeps them."""
    project = open_project
    project.path.write_text("name: thing\ncompile_bytecode: false\nbase_image: oci:base\n"
                            "commands: [chown 2000 /etc/base]\n")  # fmt: skip
    project.spec = load_spec(project.path)
    (lock,) = project.locks({PLATFORM: []})
    lock = dataclasses.replace(lock, spec_digest=spec_digest(project.spec, project.root))
    lock_file.write(lock_file.lock_path(project.path), [lock])
    for path in (project.root, *project.root.rglob("*")):
        path.chmod(0o777)

    said = "commands: an ordinary user can't be root of an image here: no program newuidmap"
    plan = as_nobody(project, "plan", "--output", "json", str(project.path))
    assert plan.returncode == 0, plan.stderr
    (platform,) = json.loads(plan.stdout)["platforms"]
    assert platform["running"].startswith(f"the build will stop: {said}")
    assert "`builder: docker`" in platform["running"]
    assert f"the build will stop: {said}" in as_nobody(project, "plan", str(project.path)).stdout
    build = as_nobody(project, "build", "--locked", str(project.path))
    assert build.returncode == 7
    assert f"error: {said}" in build.stderr
    assert plan_of(project, [lock]).running == ("",)


def as_nobody(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`imagekit` run by a user who may read this interpreter, and has no programs on PATH."""
    program = "import sys; from imagekit.cli.main import main; sys.exit(main(sys.argv[1:]))"
    user = ["--reuid=65534", "--regid=65534", "--clear-groups"]
    reading = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return subprocess.run(
        ["/usr/bin/setpriv", *user, *reading, sys.executable, "-c", program, *arguments],
        env={**os.environ, "PATH": str(project.root / "nothing")},
        cwd=Path(imagekit.__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_is_told_of_bytecode_that_is_not_made(project: Project) -> None:
    """Left out by the spec."""
    project.spec = ImageSpec(name="thing", compile_bytecode=False)
    assert plan_of(project, project.locks({OTHER: [project.wheel("alpha")]})).bytecode == ("",)


def test_files_beyond_the_limit_wait_for_the_build(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan stays quick whatever a spec copies: such a layer is unknown until it is built."""
    project.spec = ImageSpec(name="thing", copy=["large"], compile_bytecode=False)
    with (project.root / "large").open("wb") as stream:
        stream.truncate(33 << 20)
    planned = plan(project)
    assert "copied files" in planned.unknown
    assert planned.platforms[0].layers[-1].size_bytes == 33 << 20
