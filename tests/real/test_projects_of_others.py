# SPDX-License-Identifier: Apache-2.0
"""Requirement files and locks of real projects, as their own sdists have them."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest
import tomli
import uv
from packaging.requirements import Requirement

from imagekit.builders.planned import plan_image
from imagekit.builders.runtime import runtime_pin
from imagekit.errors import LockError
from imagekit.fetch import fetch
from imagekit.lock.model import Lock
from imagekit.lock.refresh import refresh_lock
from imagekit.oci.layout import write_layout
from imagekit.progress import Silent
from imagekit.spec.load import load_spec
from tests.fakes.images import bare_base
from tests.real.test_foreign_locks import by_poetry, lock_by_poetry, run
from tests.real.test_foreign_locks import locked as chosen

pytestmark = [pytest.mark.network, pytest.mark.slow]

PYTHON = "3.12.3"

FILES = [
    ("openai-agents==0.24.0", "uv.lock"),
    ("mcp==2.3.0", "uv.lock"),
    ("flask==3.1.3", "uv.lock"),
    ("ansible-lint==26.10.1", "uv.lock"),
    ("ansible-lint==26.10.1", ".config/requirements-lock.txt"),
    ("pip==26.3", "build-project/pylock.toml"),
    ("celery==5.7.0", "requirements/default.txt"),
    ("celery==5.7.0", "requirements/test.txt"),
    ("jupyterhub==6.1.1", "requirements.txt"),
    ("salt==3008.5", "requirements/crypto.txt"),
]
"""An sdist on the index, and the file in it: nobody here wrote any."""

OLD_LOCKS = ["old_lock", "up_to_date_lock"]
"""Of Poetry's own tests."""


def unpacked(sdist: str, folder: Path) -> Path:
    """What it unpacks to, as the index has it by its hash."""
    command = [uv.find_uv_bin(), "pip", "compile", "--quiet", "--no-deps", "-"]
    command += ["--format=pylock.toml", "--python-version=3.12"]
    done = subprocess.run(command, input=sdist, capture_output=True, text=True, check=True)
    (package,) = tomli.loads(done.stdout)["packages"]
    found = package["sdist"]
    path = fetch(
        [found["url"]],
        sha256=found["hashes"]["sha256"],
        size_bytes=found.get("size"),
        name=sdist,
    )
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    (project,) = folder.iterdir()
    return project


def locked(requirements: Path) -> Lock:
    """On a base that is only named; the plan of it is made too."""
    folder = requirements.parent
    write_layout(bare_base(folder, PYTHON, "2.39"), folder / "base")
    path = folder / "spec.yaml"
    path.write_text(
        f"name: of-others\nbase_image: oci:base\nplatform: linux/amd64\nobject_storage: false\n"
        f"compile_bytecode: false\nrequirements: {requirements.name}\n"
    )
    spec = load_spec(path)
    (lock,) = refresh_lock(spec, path, upgrade=False, runtime=runtime_pin(), progress=Silent())
    (planned,) = plan_image(spec, path, [lock], Silent()).platforms
    wheels = {each.name for layer in planned.layers for each in getattr(layer.step, "wheels", ())}
    assert wheels == {wheel.name for wheel in lock.packages}
    return lock


@pytest.mark.parametrize(("sdist", "name"), FILES)
def test_it_is_locked_and_planned(sdist: str, name: str, tmp_path: Path) -> None:
    """A uv.lock gives what uv itself would install, another file something."""
    path = unpacked(sdist, tmp_path / "sdist") / name
    found = {f"{wheel.name}=={wheel.version}" for wheel in locked(path).packages}
    assert found
    if path.name == "uv.lock":
        assert found == by_uv(path.parent)


@pytest.mark.parametrize("fixture", OLD_LOCKS)
def test_a_lock_that_says_too_little_is_told(fixture: str, tmp_path: Path) -> None:
    """With what makes it good."""
    project = unpacked("poetry==2.5.1", tmp_path / "sdist")
    with pytest.raises(LockError, match="does not say what is for development") as caught:
        locked(project / "tests/fixtures" / fixture / "poetry.lock")
    assert "`poetry lock`" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("sdist", "groups"),
    [
        ("poetry==2.5.1", ["dev", "test", "typing", "github-actions"]),
        ("cleo==2.1.0", ["dev", "doc"]),
    ],
)
def test_a_projects_poetry_lock_gives_what_poetry_installs(
    sdist: str, groups: list[str], tmp_path: Path
) -> None:
    """Locked by today's Poetry (format 2.1), with each group that the project has and with none."""
    project = unpacked(sdist, tmp_path / "sdist")
    lock_by_poetry(project, index_of(tmp_path))
    assert 'lock-version = "2.1"' in (project / "poetry.lock").read_text()
    assert chosen(project, "poetry.lock") == by_poetry(project, "--only=main")
    assert chosen(project, "poetry.lock", groups=groups) == by_poetry(
        project, f"--with={','.join(groups)}"
    )


def index_of(folder: Path) -> str:
    """The index that uv asks."""
    probe = folder / "probe"
    probe.mkdir()
    text = '[project]\nname = "probe"\nversion = "1"\nrequires-python = ">=3.11"\n'
    (probe / "pyproject.toml").write_text(f'{text}dependencies = ["six"]\n')
    run([uv.find_uv_bin(), "lock"], probe)
    packages = tomli.loads((probe / "uv.lock").read_text())["package"]
    return str(next(p["source"]["registry"] for p in packages if "registry" in p["source"]))


def by_uv(folder: Path) -> set[str]:
    command = [uv.find_uv_bin(), "export", "--frozen", "--no-emit-workspace", "--no-default-groups"]
    command += ["--no-hashes", "--no-annotate", "--no-header", "--quiet"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    image: dict[str, str] = {
        "python_version": "3.12",
        "python_full_version": PYTHON,
        "platform_machine": "x86_64",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    wanted = [Requirement(line) for line in done.stdout.splitlines()]
    fitting = [each for each in wanted if each.marker is None or each.marker.evaluate(image)]
    return {f"{each.name}{each.specifier}" for each in fitting}
