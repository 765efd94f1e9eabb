# SPDX-License-Identifier: Apache-2.0
"""Specs that stand on other specs."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

import imagekit
from imagekit.builders.build import build
from imagekit.builders.forecast import forecast
from imagekit.builders.model import Built
from imagekit.builders.tagging import image_tag
from imagekit.builders.why import explain
from imagekit.errors import BuildError, LockError, SpecError
from imagekit.fleet.batch import build_all
from imagekit.fleet.rows import Known, Row, rows
from imagekit.lock import file
from imagekit.lock.ensure import ensure_lock
from imagekit.lock.inherit import with_inherited
from imagekit.lock.model import Lock, LockedWheel
from imagekit.planning.dockerfile import refuse_unwritable
from imagekit.planning.steps import Configure, InstallWheels, RunCommands, Step
from imagekit.progress import Silent
from imagekit.spec.digest import spec_digest
from imagekit.spec.load import load_spec, load_specs
from imagekit.spec.model import ImageSpec
from imagekit.spec.parent import lineage, parent_of
from tests.unit.imagekit.builders.project import PLATFORM, Project

BASE = f"""
name: team/base
base_image: oci:base
platform: {PLATFORM}
compile_bytecode: false
object_storage: false
env: {{A: base, B: base}}
labels: {{kept: "1"}}
workdir: /work
copy: [notes.txt]
"""
CHILD = f"""
name: team/child
base_image: base.yaml
platform: {PLATFORM}
compile_bytecode: false
env: {{B: child}}
source_root: src
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """`base.yaml` with one wheel, and `child.yaml` on it with one more."""
    found = Project(tmp_path, monkeypatch)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "child.yaml").write_text(CHILD)
    lock(found, "base.yaml", found.wheel("alpha"))
    lock(found, "child.yaml", found.wheel("alpha"), found.wheel("beta"))
    return found


def lock(project: Project, name: str, *wheels: LockedWheel) -> None:
    path = project.root / name
    digest = spec_digest(load_spec(path), project.root)
    locks = project.locks({PLATFORM: wheels})
    file.write(
        file.lock_path(path), [dataclasses.replace(each, spec_digest=digest) for each in locks]
    )


def locked(project: Project, name: str) -> tuple[ImageSpec, Path, tuple[Lock, ...]]:
    path = project.root / name
    spec = load_spec(path)
    (pinned,) = project.locks({PLATFORM: []})
    found = ensure_lock(spec, path, locked=True, runtime=pinned.runtime, progress=Silent())
    return spec, path, found


def built(project: Project, name: str) -> Built:
    return build(*locked(project, name), (), Silent())


def test_an_image_has_the_layers_of_its_bases_image(project: Project) -> None:
    """All of them, below its own; and what its base says that it does not say itself."""
    base, child = built(project, "base.yaml").image, built(project, "child.yaml").image
    below = [layer.digest for layer in base.layers]
    assert [layer.digest for layer in child.layers][: len(below)] == below
    assert len(child.layers) == len(below) + 2  # beta, and the source
    said = child.config.object("config")
    assert {"A=base", "B=child"} <= set(said.texts("Env"))
    assert said.text("WorkingDir", "") == "/work"
    assert said.text_map("Labels") == {"kept": "1"}


def test_a_plan_of_it_is_exact(project: Project) -> None:
    """Predicted and built digest are one."""
    digest = built(project, "child.yaml").digest
    spec, path, (lock,) = locked(project, "child.yaml")
    image = forecast(spec, path, lock, Silent()).image
    assert image is not None
    assert image.digest == digest


def test_the_tag_follows_everything_below(project: Project) -> None:
    """Files and variables of the base are in it; its name is not."""
    tags = [image_tag(*locked(project, "child.yaml"))]
    (project.root / "notes.txt").write_text("changed")
    tags.append(image_tag(*locked(project, "child.yaml")))
    (project.root / "base.yaml").write_text(BASE.replace("A: base", "A: other"))
    tags.append(image_tag(*locked(project, "child.yaml")))
    (project.root / "base.yaml").write_text(BASE.replace("A: base", "A: other") + "registry: x.y\n")
    assert image_tag(*locked(project, "child.yaml")) == tags[-1]
    assert len(set(tags)) == 3


def test_why_names_what_changed_below(project: Project) -> None:
    """A file that the base copies."""
    old = built(project, "child.yaml").image
    (project.root / "notes.txt").write_text("changed")
    spec, path, (lock,) = locked(project, "child.yaml")
    (changed,) = explain(old, forecast(spec, path, lock, Silent()))
    assert changed.layer == "copied files of team/base"
    assert str(changed.cause) == "file notes.txt: content"


def test_another_lock_of_the_base_is_told(project: Project) -> None:
    """A child's lock holds the very wheels of its base's."""
    lock(project, "base.yaml", project.wheel("alpha", "2.0"))
    with pytest.raises(LockError, match=r"was made for another lock of .*base\.yaml"):
        locked(project, "child.yaml")
    (project.root / "base.yaml").write_text(BASE + "packages: [gamma]\n")
    with pytest.raises(LockError, match=r"does not belong to .*child\.yaml any more"):
        locked(project, "child.yaml")
    file.lock_path(project.root / "base.yaml").unlink()
    (project.root / "base.yaml").write_text(BASE)
    with pytest.raises(LockError, match=r"there is no .*pylock\.base\.toml"):
        locked(project, "child.yaml")


CONTRADICTIONS = {
    "python_version: '3.10'": r"python_version 3\.10: the base .*base\.yaml has 3\.11",
    "requirements: uv.lock": r"requirements uv\.lock on a base that is a spec",
}


@pytest.mark.parametrize("line", CONTRADICTIONS)
def test_what_can_not_go_on_the_base_is_told_when_it_is_locked(project: Project, line: str) -> None:
    """With what to do."""
    (project.root / "uv.lock").write_text("")
    (project.root / "child.yaml").write_text(CHILD + line)
    spec = load_spec(project.root / "child.yaml")
    parent = parent_of(spec, project.root)
    assert parent is not None
    (below,) = project.locks({PLATFORM: []})
    with pytest.raises(LockError, match=CONTRADICTIONS[line]) as caught:
        with_inherited(spec, parent, below)
    assert caught.value.hint


def test_a_child_is_resolved_around_its_base(project: Project) -> None:
    """Each wheel of the base in its version, from the base's indexes too."""
    (project.root / "base.yaml").write_text(BASE + "pip_extra_index_url: ['https://a.example/']\n")
    spec = load_spec(project.root / "child.yaml")
    parent = parent_of(spec, project.root)
    assert parent is not None
    (below,) = project.locks({PLATFORM: [project.wheel("alpha")]})
    wanted = with_inherited(spec.with_packages("beta"), parent, below)
    assert wanted.packages == ("alpha==1.0", "beta")
    assert wanted.pip_extra_index_url == ("https://a.example/",)
    assert not wanted.object_storage


def test_specs_that_stand_on_each_other_are_told(project: Project) -> None:
    """Before anything is read for ever."""
    (project.root / "base.yaml").write_text(BASE.replace("oci:base", "child.yaml"))
    with pytest.raises(SpecError, match=r"child\.yaml stands on itself"):
        locked(project, "child.yaml")
    value = ImageSpec(base_image=ImageSpec())
    with pytest.raises(SpecError, match="names of their own"):
        lineage(value, project.root / "imagekit.yaml")


def test_a_value_stands_on_a_value(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with a lock of its own, by its name."""
    monkeypatch.chdir(project.root)
    base = load_spec(project.root / "base.yaml")
    child = ImageSpec(name="team/child", base_image=base, platform=str(PLATFORM),
                      compile_bytecode=False, env={"B": "child"}, source_root="src")  # fmt: skip
    digest = built(project, "child.yaml").digest
    assert imagekit.build(child, locked=True).digest == digest


def test_a_base_in_the_same_file_is_known_by_its_name(project: Project) -> None:
    """So it has one lock, whoever asks."""
    path = project.root / "images.py"
    path.write_text(
        "from imagekit import ImageSpec\nbase = ImageSpec(name='b')\n"
        "child = ImageSpec(name='c', base_image=base)\n"
    )
    specs = load_specs(path)
    child = specs[project.root / "images.py:child"]
    assert child.base_image == "images.py:base"
    parent = parent_of(child, project.root)
    assert parent is not None
    assert parent.spec == specs[parent.path]


def test_a_dockerfile_with_commands_below_is_refused(project: Project) -> None:
    """There they would run after what stands on them; the native builder is named."""
    steps: list[Step] = [
        RunCommands(("a",), {}),
        InstallWheels((project.wheel("beta"),), bytecode=False),
        Configure({}, (), "1000", "/root", {}),
    ]
    with pytest.raises(BuildError, match="commands of the base's spec") as caught:
        refuse_unwritable(steps)
    assert "native" in str(caught.value.hint)
    refuse_unwritable([steps[1], steps[0], steps[2]])


def specs_of(project: Project) -> Mapping[Path, ImageSpec]:
    names = ("child.yaml", "base.yaml")
    return {project.root / name: load_spec(project.root / name) for name in names}


def test_a_base_is_built_first(project: Project) -> None:
    """With any number of workers, though it is the smaller one; the order of answers stays."""
    for jobs in (1, 2, 4):
        ended = threading.Event()
        order: list[str] = []

        def build_one(
            path: Path, ended: threading.Event = ended, order: list[str] = order
        ) -> Built:
            if path.name == "child.yaml":
                assert ended.is_set()
            order.append(path.name)
            made = built(project, path.name)
            ended.set()
            return made

        found = list(build_all(specs_of(project), build_one, jobs))
        assert [each.error for each in found] == [None, None]
        assert order == ["base.yaml", "child.yaml"]
        assert [each.address.name for each in found] == ["child.yaml", "base.yaml"]


def test_a_matrix_has_stages(project: Project) -> None:
    """Of the images that have to be built: one that stands on what is there is in the first."""

    for there, stages in (("", {"base": 0, "child": 1}), ("base.yaml", {"base": 0, "child": 0})):

        def judge(image: Known, there: str = there) -> Row:
            return image.row("", "" if image.address.name == there else "build it")

        found = rows(specs_of(project), judge)
        assert {Path(row.spec).stem: row.stage for row in found} == stages
