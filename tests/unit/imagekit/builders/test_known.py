# SPDX-License-Identifier: Apache-2.0
"""The table of layers in a lock: left there by a build, and held to by the next one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imagekit.builders.build import build
from imagekit.builders.options import Options
from imagekit.errors import IntegrityError
from imagekit.lock import file
from imagekit.progress import Silent
from tests.unit.imagekit.builders.project import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def test_a_build_leaves_its_layers_in_the_lock(project: Project) -> None:
    """All but those of files that lie here; the lock's own digest stays."""
    project.write_lock(project.wheel("alpha"))
    before = project.lock()
    built = project.build_locked(options=Options())
    after = project.lock()

    assert (before.layers, after.digest) == ((), before.digest)
    assert len(after.layers) == 2  # the wheel's and the runtime's
    assert {x.digest for x in after.layers} < {x.digest for x in built.image.layers}


def test_a_lock_that_changed_during_the_build_is_left_alone(project: Project) -> None:
    """What was built belongs to the lock that was read, not to the one that stands there now."""
    project.write_lock(project.wheel("alpha"))
    old = project.lock()
    project.write_lock(project.wheel("alpha"), project.wheel("beta"))
    newer = file.lock_path(project.path).read_bytes()
    build(project.spec, project.path, [old], (), Silent())

    assert file.lock_path(project.path).read_bytes() == newer


@pytest.mark.parametrize("rebuild", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_a_layer_that_is_not_the_locks_is_refused(
    project: Project, cached: bool, rebuild: bool
) -> None:
    """Whether it is made or lies in the cache: lock and machine have to agree."""
    project.write_lock(project.wheel("alpha"))
    project.build_locked(options=Options())
    path = file.lock_path(project.path)
    first = project.lock().layers[0].digest
    path.write_text(path.read_text().replace(first, "sha256:" + "0" * 64))
    if not cached:
        shutil.rmtree(project.cache / "imagekit" / "layers")

    with pytest.raises(IntegrityError, match="the lock says that the layer is sha256:000"):
        project.build_locked(options=Options(rebuild=rebuild))
