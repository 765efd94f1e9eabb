# SPDX-License-Identifier: Apache-2.0
"""`builder: docker` on a real engine: the same image as the native builder's, and what runs."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.registry_server import PASSWORD, USER, htpasswd, registry
from tests.real.buildkit.hostile import HOSTILE, SPEC, write_spec
from tests.real.builds import Host

pytestmark = [pytest.mark.docker, pytest.mark.network]


@pytest.fixture(scope="module")
def built(host: Host, folder: Path) -> Iterator[str]:
    """The name of the image in the engine, which is removed at the end."""
    done = host.run("build", "--locked", folder / "docker.yaml")
    assert done.returncode == 0, done.stderr
    name = named(done.stdout)
    yield name
    subprocess.run(
        ["docker", "rmi", "--force", name.partition(":")[2]], capture_output=True, check=False
    )


def remove_images(repository: str) -> None:
    """What the engine keeps of a repository."""
    listed = ["docker", "images", "--quiet", repository]
    found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["docker", "rmi", "--force", *found], capture_output=True, check=False)


def named(line: str) -> str:
    return f"docker-daemon:{line.split(' ', maxsplit=1)[0].strip()}"


def test_it_is_the_native_builders_image(host: Host, folder: Path, built: str) -> None:
    """Every file, mode, owner, variable and label of a hostile spec, by `imagekit diff`."""
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
    done = host.run("build", "--locked", folder / "docker.yaml")
    assert named(done.stdout) == built


@pytest.fixture(scope="module")
def pushed(
    host: Host, folder: Path, built: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A spec whose image an account had to be known for to push; `log` is the registry's."""
    root = tmp_path_factory.mktemp("registry")
    with registry(root, auth=htpasswd(root)) as server:
        secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (host.root / ".docker").mkdir(exist_ok=True)
        login = {"auths": {server.address: {"auth": secret}}}
        (host.root / ".docker/config.json").write_text(json.dumps(login))
        options = {"network": "host"}
        path = folder / "pushed.yaml"
        write_spec(path, builder="docker", builder_options=options, registry=server.address)
        shutil.copy(folder / "pylock.docker.toml", folder / "pylock.pushed.toml")
        done = host.run("build", "--locked", path, "--push")
        assert done.returncode == 0, done.stderr
        assert "@sha256:" in done.stdout
        yield path
        remove_images(f"{server.address}/{SPEC['name']}")


@pytest.mark.registry
def test_what_the_engine_pushed_is_known_by_its_lock(host: Host, pushed: Path) -> None:
    """By plans, which ask the registry."""
    done = host.run("plan", "--locked", pushed, "--push")
    assert "from this very lock" in done.stdout, done.stdout + done.stderr


@pytest.mark.registry
def test_what_is_there_is_not_built_again_unless_forced(host: Host, pushed: Path) -> None:
    """No step runs; with `--force` all do."""
    done = host.run("build", "--locked", pushed, "--push")
    assert done.returncode == 0, done.stderr
    assert "exporting" not in done.stderr
    assert "@sha256:" in done.stdout
    forced = host.run("build", "--locked", pushed, "--push", "--force")
    assert forced.stdout == done.stdout
    assert "exporting" in forced.stderr
