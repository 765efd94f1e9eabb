# SPDX-License-Identifier: Apache-2.0
"""`source_copy_mode: loaded_modules`: the modules that a spec's code has loaded, and no others."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import tarfile
from pathlib import Path

import pytest

from imagekit.builders.tagging import image_tag
from imagekit.errors import BuildError, SpecError
from imagekit.layers.tree import scan
from imagekit.spec.load import load_spec
from imagekit.spec.loaded import loaded_files
from imagekit.spec.model import ImageSpec
from tests.unit.imagekit.builders.project import PLATFORM, Project

FILES = {
    "one.py": "import imagekit\nimport team.shared, click\nfrom team import first\n"
    "image = imagekit.ImageSpec(source_root='.', source_copy_mode='loaded_modules')\n",
    "two.py": "import imagekit\nfrom team import second\n"
    "image = imagekit.ImageSpec(source_root='.', source_copy_mode='loaded_modules')\n",
    "team/__init__.py": "",
    "team/shared.py": "",
    "team/first.py": "",
    "team/second.py": "from . import shared",
    "team/unused.py": "",
    "team/data.csv": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "team").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def loaded(address: Path, folder: Path) -> set[str]:
    found = loaded_files(load_spec(address), address)
    assert found is not None
    return {file.relative_to(folder.resolve()).as_posix() for file in found}


def test_a_file_has_what_running_it_loads(folder: Path) -> None:
    """Its own modules, whichever other specs were loaded before; nothing that is installed."""
    first = {"one.py", "team/__init__.py", "team/first.py", "team/shared.py"}
    second = {"two.py", "team/__init__.py", "team/second.py", "team/shared.py"}
    for name, expected in (("one.py:image", first), ("two.py:image", second), ("one.py", first)):
        assert loaded(folder / name, folder) == expected
    assert "team" not in sys.modules


def test_a_value_has_what_its_process_has_loaded(project: Project) -> None:
    """In the image are these files, with the folders that they are in, and the tag follows them."""
    spec = dataclasses.replace(project.spec, source_copy_mode="loaded_modules")
    project.spec = spec
    package = project.root / "src" / "loaded_by_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "unused.py").write_text("")
    locks = project.locks({PLATFORM: []})
    with pytest.raises(BuildError, match=r"no module below .*src is loaded"):
        image_tag(spec, project.path, locks)
    sys.path.insert(0, str(project.root / "src"))
    try:
        importlib.import_module("loaded_by_a_test")
        tag = image_tag(spec, project.path, locks)
        (package / "unused.py").write_text("changed")
        assert image_tag(spec, project.path, locks) == tag
        image = project.build().image
    finally:
        sys.path.pop(0)
        sys.modules.pop("loaded_by_a_test", None)
    with image.layers[-1].open() as stream, tarfile.open(fileobj=stream, mode="r:gz") as archive:
        names = [member.name for member in archive]
    assert names == ["root", "root/loaded_by_a_test", "root/loaded_by_a_test/__init__.py"]
    assert len(scan(project.root / "src")) > 2


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def test_other_modes_copy_the_folder(folder: Path) -> None:
    """Nobody asks what is loaded."""
    assert loaded_files(ImageSpec(source_root="."), folder / "one.py") is None


def test_a_yaml_file_is_told(folder: Path) -> None:
    """It loads nothing."""
    (folder / "spec.yaml").write_text("source_root: .\nsource_copy_mode: loaded_modules\n")
    with pytest.raises(SpecError, match=r"spec\.yaml:2: loaded_modules: a YAML file loads no"):
        load_spec(folder / "spec.yaml")
