# SPDX-License-Identifier: Apache-2.0
"""Many images and a real registry: what is sent once, what is there, what comes together."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from imagekit.cli.main import program
from imagekit.registry.client import shared_client
from imagekit.registry.reference import RegistryReference
from tests.fakes.registry_server import Server
from tests.unit.imagekit.fleet.fleet_project import Fleet

pytestmark = pytest.mark.registry
SENT = re.compile(
    r'"(?:PUT|POST) /v2/(\S+?)/blobs/uploads/\S*digest=sha256%3A(\w+)\S* HTTP/1.1" 201'
)
MOUNTED = re.compile(r'"POST /v2/(\S+?)/blobs/uploads/\?mount=sha256%3A\w+\S* HTTP/1.1" 201')


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(tmp_path, monkeypatch)


def run(*words: str) -> str:
    result = CliRunner().invoke(program, words)
    assert result.exit_code == 0, result.output
    return result.stdout


def why(*words: str) -> dict[str, str]:
    return {row["spec"]: row["why"] for row in json.loads(run("matrix", *words))["include"]}


def sent(server: Server, before: int) -> list[tuple[str, str]]:
    """Repository and digest of each blob whose bytes came since; mounts are none."""
    log = server.log.read_text()[before:]
    found = SENT.findall(log)
    return [each for each in found if each]


def test_what_the_registry_has_is_not_built(fleet: Fleet, server: Server) -> None:
    """After a push the matrix is empty; an edit brings back the images that it concerns."""
    registry = f"registry: {server.address}/matrix\n"
    fleet.write("a", f"name: a\nsource_root: src\n{registry}", fleet.project.wheel("alpha"))
    fleet.write("b", f"name: b\nsource_root: src\n{registry}", fleet.project.wheel("beta"))
    assert ["a/spec.yaml", "b/spec.yaml"] == list(why("."))
    assert all("is not there" in reason for reason in why(".").values())

    run("build", ".", "--push", "--locked")
    before = len(server.log.read_text())

    assert {} == why(".")
    assert [] == sent(server, before)
    rows = json.loads(run("matrix", ".", "--all", "--output", "json"))["include"]
    assert all(row["digest"].startswith("sha256:") for row in rows)
    (fleet.root / "b" / "src" / "task.py").write_text("changed")
    assert ["b/spec.yaml"] == list(why("."))


def test_a_registry_that_does_not_answer_is_unknown_and_so_built(fleet: Fleet) -> None:
    """Never taken for a yes."""
    fleet.write("a", "name: a\nregistry: 127.0.0.1:9/nobody\n")
    assert "can't be asked after" in why(".")["a/spec.yaml"]


def test_layers_that_images_share_are_sent_once(fleet: Fleet, server: Server) -> None:
    """Of six images in three repositories, built three at a time, no blob's bytes come twice."""
    wheels = [fleet.project.wheel(name) for name in ("gamma", "delta", "epsilon")]
    registry = f"registry: {server.address}/shared\n"
    for name in "abc":
        text = f"name: {name}\n{registry}matrix: {{user: ['1', '2']}}\n"
        fleet.write(name, text, *wheels)
    before = len(server.log.read_text())

    lines = run("build", ".", "--push", "--locked", "--jobs", "3").splitlines()

    assert 6 == len(lines)
    digests = [digest for _, digest in sent(server, before)]
    assert len(set(digests)) == len(digests) >= 3 + 6
    assert len(MOUNTED.findall(server.log.read_text()[before:])) >= 2 * 3
    for line in lines:
        image = shared_client().pull(RegistryReference.parse(line))
        for layer in image.layers:
            assert layer.size_bytes == len(layer.open().read())


def test_images_of_two_machines_come_together_under_one_tag(fleet: Fleet, server: Server) -> None:
    """The index is the one that a single machine pushes, to the byte."""
    text = f"name: two\nregistry: {server.address}/%s\nplatform: [linux/amd64, linux/arm64]\n"
    fleet.write("whole", text % "whole", fleet.project.wheel("alpha"))
    fleet.write("parts", text % "parts", fleet.project.wheel("alpha"))

    whole = run("build", "whole", "--push", "--locked").strip()
    for platform in ("linux/amd64", "linux/arm64"):
        run("build", "parts", "--platform", platform, "--push", "--locked")
    assert ["parts/spec.yaml"] == list(why("parts"))
    parts = run("index", "parts").strip()

    assert whole.partition("@")[2] == parts.partition("@")[2]
    assert {} == why("parts")


def test_an_index_needs_all_its_images(fleet: Fleet, server: Server) -> None:
    """One that was not built yet is named."""
    text = f"name: half\nregistry: {server.address}\nplatform: [linux/amd64, linux/arm64]\n"
    fleet.write("half", text)
    run("build", "half", "--platform", "linux/amd64", "--push", "--locked")
    result = CliRunner().invoke(program, ["index", "half"])
    assert re.search(
        r"half:\w{20}-linux-arm64: the registry has no such image", str(result.exception)
    )
