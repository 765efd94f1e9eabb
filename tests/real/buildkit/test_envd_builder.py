# SPDX-License-Identifier: Apache-2.0
"""`builder: envd`: the real program on a real engine makes the native builder's image."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagekit.builders.envd_program import Envd, find_envd
from imagekit.builders.serving import served
from imagekit.buildkit.endpoint import find_endpoint
from imagekit.buildkit.engine import Engine
from imagekit.buildkit.status import Event
from imagekit.buildkit.transport import open_transport
from imagekit.buildkit.workers import describe
from imagekit.oci.layout import read_layout
from imagekit.planning.envd import render_envd
from imagekit.planning.planner import Plan
from imagekit.planning.steps import Configure
from tests.fakes.worker_pipe import WorkerPipe
from tests.golden.test_plans import CASES, plan_of
from tests.real.buildkit.hostile import HOSTILE, write_spec
from tests.real.builds import Host

pytestmark = [pytest.mark.docker, pytest.mark.envd, pytest.mark.network]


@pytest.fixture(scope="module")
def built(host: Host, folder: Path) -> Iterator[str]:
    """The name of the image in the engine, which is removed at the end."""
    done = host.run("build", "--locked", folder / "envd.yaml")
    assert done.returncode == 0, done.stderr
    name = done.stdout.split(" ", maxsplit=1)[0].strip()
    yield name
    subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=False)


def test_it_is_the_native_builders_image(host: Host, folder: Path, built: str) -> None:
    """Every file, mode, owner, variable and label of a hostile spec, by `imagekit diff`."""
    compared = host.run("diff", f"oci:{folder}/native", f"docker-daemon:{built}")
    assert compared.returncode == 0, compared.stdout + compared.stderr


def test_nothing_of_the_users_is_touched_and_nothing_is_left(host: Host, built: str) -> None:
    """No context, key or telemetry of envd's, no name in the engine, no file in our cache."""
    left = {path.name for path in host.root.iterdir()}
    # The docker program, which `imagekit diff` asks, may keep its own.
    assert left <= {"cache", "data", ".local", ".docker"}
    assert list((host.cache / "envd").iterdir()) == []
    listed = ["docker", "images", "--format", "{{.Repository}}"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    assert not [
        name for name in names if name.startswith("127.0.0.1:") and name.endswith("/imagekit/base")
    ]
    assert "localhost/imagekit/envd" not in names


def test_a_second_build_has_nothing_to_do(host: Host, folder: Path, built: str) -> None:
    """Each copy and step is cached, and the image the same."""
    done = host.run("build", "--locked", folder / "envd.yaml")
    assert done.stdout.split(" ", maxsplit=1)[0] == built, done.stderr
    assert done.returncode == 0


def test_envd_reads_each_value_as_it_is(folder: Path, host: Host, tmp_path: Path) -> None:
    """Variables and entrypoint in the image that envd itself makes, before it is settled."""
    base = read_layout(folder / "native")
    plan = with_values(plan_of(CASES / "hello"))
    engine = Engine(find_endpoint(os.environ))
    home, context = tmp_path / "home", tmp_path / "context"
    home.mkdir()
    context.mkdir()
    made = "imagekit-test/envd-values:1"
    with served(base) as name:
        envd = Envd.open(find_envd(os.environ), home, os.environ, engine.endpoint)
        envd.use("moby-worker")
        envd.trust_plain_http(name.partition("/")[0])
        (context / "build.envd").write_text(render_envd(plan, name, [], has_bash=True), "utf-8")
        envd.build(context, [f"--tag={made}"], Events())
    try:
        found = (engine.find(made) or {})["Config"]
    finally:
        engine.untag(made)
    variables = dict(item.split("=", 1) for item in found["Env"])
    assert {name: variables[name] for name in HOSTILE} == HOSTILE
    assert found["Entrypoint"] == list(HOSTILE.values())


class Events(list[Event]):
    hear = list.append


def with_values(plan: Plan) -> Plan:
    (configure,) = (step for step in plan.steps if isinstance(step, Configure))
    return replace(
        plan, steps=(replace(configure, env=HOSTILE, entrypoint=tuple(HOSTILE.values())),)
    )


def test_a_step_that_fails_is_one_error_with_its_log(
    host: Host, folder: Path, tmp_path: Path
) -> None:
    """What it printed last, and how it ended."""
    for name in ("src", "data"):
        (tmp_path / name).symlink_to(folder / name)
    write_spec(tmp_path / "spec.yaml", builder="envd", commands=["echo what went wrong; exit 7"])
    shutil.copy(folder / "pylock.envd.toml", tmp_path / "pylock.toml")
    done = host.run("build", "--locked", tmp_path / "spec.yaml")
    assert done.returncode == 7
    error = done.stderr[done.stderr.index("error: ") :]
    assert error.startswith("error: building with envd: ")
    assert "  | what went wrong\n" in error
    assert "Traceback" not in error


def test_a_worker_at_an_address_sends_the_image_or_says_that_it_can_not(
    host: Host, folder: Path, tmp_path: Path
) -> None:
    """One inside an engine can where that has the containerd image store."""
    for name in ("src", "data"):
        (tmp_path / name).symlink_to(folder / name)
    shutil.copy(folder / "pylock.envd.toml", tmp_path / "pylock.toml")
    with WorkerPipe(Engine(find_endpoint(os.environ)), tmp_path) as pipe:
        write_spec(
            tmp_path / "spec.yaml", builder="envd", builder_options={"address": pipe.address}
        )
        done = host.run("build", "--locked", tmp_path / "spec.yaml", "--to", f"oci:{tmp_path}/made")
        transport = open_transport(pipe.address, os.environ)
        able = describe(transport).keeps_manifests
        transport.close()
    if able:
        assert done.returncode == 0, done.stderr
        compared = host.run("diff", f"oci:{folder}/native", f"oci:{tmp_path}/made")
        assert compared.returncode == 0, compared.stdout
    else:
        assert done.returncode == 7
        assert "exporter" in done.stderr
