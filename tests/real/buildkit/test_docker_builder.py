# SPDX-License-Identifier: Apache-2.0
"""`builder: docker` on a real engine: the same image as the native builder's, and what runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.buildkit.hostile import HOSTILE, SPEC
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
