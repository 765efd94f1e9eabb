# SPDX-License-Identifier: Apache-2.0
"""`builder: docker` on a real engine: the same image as the native builder's, and what runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.builds import Host, new_host, shared_downloads

pytestmark = [pytest.mark.docker, pytest.mark.network]

HOSTILE = {
    "SPACES": "  two  words ",
    "QUOTES": "\"double\" 'single' `back`",
    "DOLLARS": "$HOME ${PATH:-x} $$ \\$x",
    "BACKSLASHES": "C:\\new\\table\\",
    "HASH": "# no comment",
    "LINES": "one\ntwo\r\n\ttabbed\n",
    "UNICODE": "naïve ☃ 𝄞",
    "EMPTY": "",
    "JSON": '{"a": ["b", "$c"]}',
}
SPEC = {
    "name": "imagekit-test/hostile",
    "python_version": "3.11",
    "object_storage": False,
    "builder": "docker",
    "builder_options": {"network": "host"},
    "packages": ["iniconfig==2.1.0", "six"],
    "source_root": "src",
    "copy": ["data"],
    "env": HOSTILE,
    "labels": {"a.b/c": 'x "y" $z\nnext', "d": ""},
}
TASK = "import os\n\ndef seen() -> dict[str, str]:\n    return dict(os.environ)\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with names and modes that are easily lost on the way."""
    root = tmp_path_factory.mktemp("project")
    (root / "spec.yaml").write_text(json.dumps(SPEC, ensure_ascii=False))
    native = {key: value for key, value in SPEC.items() if not key.startswith("builder")}
    (root / "native.yaml").write_text(json.dumps(native, ensure_ascii=False))
    source = root / "src"
    source.mkdir()
    (source / "task.py").write_text(TASK)
    (source / "run me.sh").write_text("#!/bin/sh\n")
    (source / "run me.sh").chmod(0o755)
    (source / 'we*ird [x] "q" $y \\ ü').write_text("1")
    (source / "link").symlink_to("task.py")
    (source / "folder/empty").mkdir(parents=True)
    (source / "private").write_text("2")
    (source / "private").chmod(0o600)
    (source / "same").hardlink_to(source / "private")
    (root / "data").mkdir()
    for number in range(1000):
        (root / f"data/{number:04}").write_text(str(number))
    return root


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    made = new_host(tmp_path_factory.mktemp("host"), shared_downloads())
    yield made
    shutil.rmtree(made.root, ignore_errors=True)


@pytest.fixture(scope="module")
def built(host: Host, folder: Path) -> Iterator[str]:
    """The name of the image in the engine, which is removed at the end."""
    host.lock(folder / "spec.yaml")
    done = host.run("build", "--locked", folder / "spec.yaml")
    assert done.returncode == 0, done.stderr
    name = named(done.stdout)
    yield name
    subprocess.run(
        ["docker", "rmi", "--force", name.partition(":")[2]], capture_output=True, check=False
    )


def named(line: str) -> str:
    return f"docker-daemon:{line.split(' ', maxsplit=1)[0].strip()}"


def test_it_is_the_native_builders_image(host: Host, folder: Path, built: str) -> None:
    """Every file, mode, owner, variable and label of a hostile spec, by `imagekit diff`."""
    shutil.copy(folder / "pylock.toml", folder / "pylock.native.toml")
    done = host.run("build", folder / "native.yaml", "--to", f"oci:{folder}/native")
    assert done.returncode == 0, done.stderr
    compared = host.run("diff", f"oci:{folder}/native", built)
    assert compared.returncode == 0, compared.stdout + compared.stderr


def test_variables_arrive_as_they_were_written(host: Host, folder: Path, built: str) -> None:
    """In the engine's own view, byte for byte."""
    shown = subprocess.run(
        ["docker", "inspect", "--format", "{{json .Config}}", built.partition(":")[2]],
        capture_output=True,
        check=True,
    )
    config = json.loads(shown.stdout)
    variables = dict(item.split("=", 1) for item in config["Env"])
    assert {name: variables[name] for name in HOSTILE} == HOSTILE
    assert config["Labels"] == SPEC["labels"]


def test_a_second_build_has_nothing_to_do(host: Host, folder: Path, built: str) -> None:
    """Each step is cached, and the image the same."""
    done = host.run("build", "--locked", folder / "spec.yaml")
    assert named(done.stdout) == built
