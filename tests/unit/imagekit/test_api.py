# SPDX-License-Identifier: Apache-2.0
"""Building from Python, and specs that stand in Python files."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import imagekit
from imagekit.cli.main import main
from imagekit.errors import ImagekitError, LockError, SpecError
from imagekit.lock import file as lock_file
from imagekit.spec.digest import spec_digest
from imagekit.spec.load import load_spec, load_specs
from imagekit.spec.model import ImageSpec
from tests.unit.imagekit.builders.project import PLATFORM, Project

SPEC = ImageSpec(
    name="team/thing",
    base_image="oci:base",
    platform=str(PLATFORM),
    source_root="src",
    compile_bytecode=False,
    object_storage=False,
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, monkeypatch)


def lock(project: Project, name: str, spec: ImageSpec = SPEC) -> None:
    (made,) = project.locks({PLATFORM: [project.wheel("alpha")]})
    digest = spec_digest(spec, project.root)
    lock_file.write(project.root / name, [dataclasses.replace(made, spec_digest=digest)])


def test_a_value_is_built_from_the_lock_in_the_current_folder(project: Project) -> None:
    """The plan of it comes to the same digest, and neither prints anything on stdout."""
    lock(project, "pylock.thing.toml")
    built = imagekit.build(SPEC)
    planned = imagekit.plan(SPEC)
    assert planned.digest == built.digest
    assert planned.name == f"team/thing:{built.tag}"
    assert planned.unknown == ()


def test_a_value_may_stand_elsewhere(project: Project) -> None:
    """`at` is the file that it would stand in: paths and lock are beside that."""
    folder = project.root / "inner"
    folder.mkdir()
    spec = dataclasses.replace(SPEC, base_image="oci:../base", source_root="../src")
    project.section = {**project.section, "reference": "oci:../base"}
    lock(project, "inner/pylock.toml", spec)
    assert imagekit.build(spec, at=folder / "spec.yaml", to=["oci:layout"]).digest
    assert (project.root / "layout" / "index.json").exists()


def test_the_lock_of_a_value_follows_it_unless_that_is_refused(project: Project) -> None:
    """Here it can't, as the base has no Python: it was resolved again, and not taken as it is."""
    lock(project, "pylock.thing.toml")
    with pytest.raises(LockError, match="does not belong"):
        imagekit.plan(SPEC.with_packages("beta"), locked=True)
    with pytest.raises(ImagekitError, match="Python"):
        imagekit.plan(SPEC.with_packages("beta"))


def test_what_is_wrong_with_a_value_is_told_at_once(project: Project) -> None:
    """Everything of it, before anything is resolved."""
    with pytest.raises(SpecError, match=r"there is no folder 'gone'"):
        imagekit.build(dataclasses.replace(SPEC, source_root="gone"))


def test_updaters_leave_the_spec_as_it_is() -> None:
    """Each gives a new one, with a text or a list added to what was there."""
    spec = ImageSpec(packages=["b"], commands=["one"], builder_options={"x": "1"})
    assert spec.with_packages("a").packages == ("a", "b")
    assert spec.with_packages(["a", "c"]).packages == ("a", "b", "c")
    assert spec.with_commands("two").commands == ("one", "two")
    assert spec.with_apt_packages(["git"]).apt_packages == ("git",)
    assert spec.with_copy("data").copy == ("data",)
    assert spec.with_runtime_packages(["rich"]).runtime_packages == ("rich",)
    assert dict(spec.with_builder_options({"y": "2"}).builder_options) == {"x": "1", "y": "2"}
    assert spec == ImageSpec(packages=["b"], commands=["one"], builder_options={"x": "1"})


def test_a_spec_of_this_environment_pins_what_is_installed() -> None:
    """Python's version is this one's, and can't be another."""
    spec = ImageSpec.from_env(pinned_packages=["click"], packages=["rich"])
    assert spec.python_version == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert [name.partition("==")[0] for name in spec.packages] == ["click", "rich"]
    with pytest.raises(SpecError, match="own version"):
        ImageSpec.from_env(python_version="3.11")


def module(project: Project, text: str) -> Path:
    path = project.root / "images.py"
    path.write_text(textwrap.dedent(text))
    return path


def test_a_spec_in_a_python_file_is_taken_wherever_a_yaml_is(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the name of its variable, which its lock has too; what the file prints is no data."""
    path = module(
        project,
        f"""
        import helper
        from imagekit import ImageSpec
        print("hello")
        image = ImageSpec(name="thing", base_image="oci:base", platform="{PLATFORM}",
                          compile_bytecode=False, object_storage=False, source_root=helper.ROOT)
        other = image.with_packages("click")
        """,
    )
    (project.root / "helper.py").write_text("ROOT = 'src'")
    assert [str(each.name) for each in load_specs(path)] == ["images.py:image", "images.py:other"]
    address = Path(f"{path}:image")
    lock(project, "pylock.images--image.toml", load_spec(address))
    assert main(["plan", str(address), "--output", "json", "--locked"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["image"].startswith("thing:")
    assert "hello" in captured.err
    assert imagekit.build(f"{path}:image").reference == "thing"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nimport nothing_of_this_name\n", r"images.py:2: does not run: ModuleNotFoundError"),
        ("x = 1\n\nx = (\n", r"images.py:3: does not run: SyntaxError"),
        ("raise ValueError('no')\n", r"images.py:1: does not run: ValueError: no"),
        ("x = 1\n", r"holds no ImageSpec"),
        ("from imagekit import ImageSpec\nimage = ImageSpec(copy=['gone'])\n", r"images.py:image:"),
        ("from imagekit import ImageSpec\nimage = ImageSpec(copy=1)\n", r"copy: expected a list"),
    ],
)
def test_a_python_file_that_gives_no_spec_says_why(project: Project, text: str, said: str) -> None:
    """With its line where it does not run."""
    with pytest.raises(SpecError, match=said):
        load_specs(module(project, text))


def test_a_name_that_is_not_there_is_told(project: Project) -> None:
    """With those that are."""
    path = module(project, "from imagekit import ImageSpec\none = ImageSpec()\ntwo = ImageSpec()\n")
    with pytest.raises(SpecError, match=r"says no image 'three' \(it says .*images\.py:one"):
        load_spec(Path(f"{path}:three"))
    with pytest.raises(SpecError, match="says several images"):
        load_spec(path)


def test_a_file_of_tasks_that_holds_its_spec_is_copied(project: Project) -> None:
    """It is source, unlike a YAML file and the locks beside it."""
    path = module(project, "")
    (project.root / "pylock.images--image.toml").write_text("")
    left_out = lock_file.own_files(Path(f"{path}:image"))
    assert path not in left_out
    assert project.root / "pylock.images--image.toml" in left_out


def test_without_the_build_side_the_error_names_what_is_missing(tmp_path: Path) -> None:
    """As inside images, where the runtime is alone."""
    code = (
        "import sys\n"
        "sys.modules['imagekit.api'] = None\n"
        "import imagekit\n"
        "try: imagekit.build\n"
        "except ImportError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("imagekit.build needs the module imagekit.api, which is not")
