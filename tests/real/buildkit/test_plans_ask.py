# SPDX-License-Identifier: Apache-2.0
"""What plans say of a real engine and its BuildKit, and of nobody."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from imagekit.builders.workers_told import workers_told
from imagekit.buildkit.endpoint import find_endpoint
from imagekit.buildkit.engine import Engine
from imagekit.spec.model import ImageSpec
from tests.fakes.fake_envd import fake_envd
from tests.fakes.worker_pipe import WorkerPipe
from tests.real.builds import Host

pytestmark = [pytest.mark.docker, pytest.mark.network]

HERE, FOREIGN = "linux/amd64", "linux/s390x"


def told(
    builder: str, *platforms: str, environ: Mapping[str, str] = os.environ, **options: str
) -> tuple[str, ...]:
    spec = ImageSpec(name="x", builder=builder, builder_options=options)
    return workers_told(spec, Path(), platforms, environ)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the engine's BuildKit as a worker of its own."""
    engine = Engine(find_endpoint(os.environ))
    with WorkerPipe(engine, tmp_path_factory.mktemp("w")) as pipe:
        yield pipe.address


def test_an_engine_says_which_platforms_it_can_build() -> None:
    """Nothing is said where it can do what is asked for."""
    assert told("docker", HERE) == ()
    (line,) = told("docker", FOREIGN)
    assert line.startswith("the build will stop: the Docker Engine at ")
    assert f"it can't build {FOREIGN}; it builds linux/amd64" in line
    (line,) = told("docker", HERE, "linux/arm64")
    assert line.endswith("keeps images of one platform, and the spec names several")


def test_a_worker_says_all_that_it_lacks(worker: str) -> None:
    """Platforms, and that an engine of this age gives no image away; each once."""
    lines = told("buildkit", HERE, FOREIGN, address=worker)
    assert all(each.startswith(f"the build will stop: the worker at {worker}: ") for each in lines)
    assert sum(f"can't build {FOREIGN}" in each for each in lines) == 1
    assert sum("no direct push, no several platforms, no attest" in each for each in lines) == 1
    (line,) = told("buildkit", HERE, address=worker, cache_to="type=tape")
    assert line == "the build will stop: 'type=tape' is no cache"
    (line,) = told("buildkit", HERE, environ={})
    assert line == "the build will stop: no BuildKit worker is named"


def test_nobody_who_answers_is_no_error_of_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says whom it asked."""
    environ = {"DOCKER_HOST": f"unix://{tmp_path}/none"}
    (line,) = told("docker", HERE, environ=environ)
    assert line.startswith("what builder docker can do here is not known: connecting to the Docker")
    (line,) = told("buildkit", HERE, address=f"unix://{tmp_path}/none")
    assert "is not known: asking the BuildKit worker at unix://" in line
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))  # envd may lie beside it
    (line,) = told("envd", HERE, environ={**environ, "PATH": ""})
    assert line == "the build will stop: there is no program envd"
    fake_envd(tmp_path)
    (line,) = told("envd", HERE, environ={**environ, "PATH": str(tmp_path)})
    assert line.startswith("what builder envd can do here is not known: connecting to the Docker")


def test_people_and_programs_read_it_in_the_plan(host: Host, tmp_path: Path) -> None:
    """As a line, and in JSON; a platform that an engine can't build stops the build at once."""
    spec = {
        "name": "imagekit-test/foreign",
        "python_version": "3.11",
        "object_storage": False,
        "platform": "linux/arm64",
        "builder": "docker",
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    host.lock(tmp_path / "spec.yaml")
    planned = host.run("plan", "--locked", tmp_path / "spec.yaml")
    assert "the build will stop: the Docker Engine at " in planned.stdout, planned.stderr
    planned = host.run("plan", "--locked", tmp_path / "spec.yaml", "--output", "json")
    (line,) = json.loads(planned.stdout)["worker"]
    assert "can't build linux/arm64" in line
    built = host.run("build", "--locked", tmp_path / "spec.yaml")
    assert "can't build linux/arm64; it builds linux/amd64" in built.stderr
    assert "hint: `builder: native`" in built.stderr
    assert "RUN" not in built.stderr
