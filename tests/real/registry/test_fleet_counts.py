# SPDX-License-Identifier: Apache-2.0
"""What a repository of many specs sends to a real registry, edit by edit: counted, not timed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from imagekit.cli.main import program
from imagekit.lock.model import LockedWheel
from imagekit.registry.client import shared_client
from imagekit.registry.reference import RegistryReference
from imagekit.spec.load import load_specs
from tests.fakes.registry_server import Server
from tests.unit.imagekit.fleet.fleet_project import Fleet

pytestmark = pytest.mark.registry
SENT = re.compile(r'"(?:PUT|POST) /v2/\S+?/blobs/uploads/\S*digest=sha256%3A(\w+)\S* HTTP/1.1" 201')
MANIFEST = re.compile(r'"PUT /v2/\S+?/manifests/\S+ HTTP/1.1" 201')
CELLS = """\
name: cells-{python}
registry: {registry}/cells
source_root: src
matrix:
  workdir: [/base, /labelled, /cuda]
  env: [{{SET: one}}, {{SET: two}}]
"""


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    yield Fleet(tmp_path, monkeypatch)
    shared_client.cache_clear()


class Log:
    """What came to the registry since this was made."""

    def __init__(self, server: Server) -> None:
        self._path = server.log
        self._before = server.log.stat().st_size

    def _text(self) -> str:
        return self._path.read_bytes()[self._before :].decode()

    @property
    def blobs(self) -> list[str]:
        return SENT.findall(self._text())

    @property
    def manifests(self) -> int:
        return len(MANIFEST.findall(self._text()))


def imagekit(*words: str) -> str:
    result = CliRunner().invoke(program, words, standalone_mode=False)
    assert not result.return_value, result.output
    return result.stdout


def to_build(*words: str) -> list[str]:
    return [row["spec"] for row in json.loads(imagekit("matrix", *words))["include"]]


def configs(references: str) -> set[str]:
    """Digests of the configs of images, a reference on each line."""
    client = shared_client()
    images = [client.pull(RegistryReference.parse(each)) for each in references.split()]
    return {image.config_digest.removeprefix("sha256:") for image in images}


def relock(fleet: Fleet, spec: Path, cells: str, wheels: Sequence[LockedWheel]) -> None:
    for address in load_specs(spec):
        if cells in address.name:
            fleet.lock(address, wheels)


def test_of_twelve_cells_those_are_built_whose_packages_changed(
    fleet: Fleet, server: Server
) -> None:
    """Nothing to do sends nothing; a comment builds nothing; one release builds its six cells."""
    wheels = {name: fleet.project.wheel(name) for name in ("alpha", "beta", "gamma")}
    specs = []
    for python in ("311", "313"):
        text = CELLS.format(python=python, registry=server.address)
        spec = fleet.write(python, text, wheels["alpha"], wheels["beta"])
        relock(fleet, spec, "two", [wheels["alpha"], wheels["gamma"]])
        specs.append(spec)
    assert len(to_build(".")) == 12
    assert len(imagekit("build", ".", "--push", "--locked").split()) == 12

    log = Log(server)
    assert [] == to_build(".")
    imagekit("build", ".", "--push", "--locked")
    for spec in specs:
        spec.write_text(f"# a comment\n{spec.read_text()}")
    assert [] == to_build(".")
    imagekit("build", ".", "--push", "--locked")
    assert ([], 0) == (log.blobs, log.manifests)

    for spec in specs:
        relock(fleet, spec, "one", [wheels["alpha"], fleet.project.wheel("beta", "2.0")])
    wanted = to_build(".")
    assert len(wanted) == 6
    assert all("one" in address for address in wanted)
    log = Log(server)
    built = imagekit("build", *wanted, "--push", "--locked")
    assert log.manifests == 6
    assert len(set(log.blobs) - configs(built)) == 1


def test_more_specs_send_the_layers_that_are_new(fleet: Fleet, server: Server) -> None:
    """Each once, whatever the number of specs and repositories; the rest is mounted."""
    shared = [fleet.project.wheel(name) for name in ("one", "two", "three")]
    new = [fleet.project.wheel(name) for name in ("four", "five")]

    def write(folder: str, extra: Sequence[LockedWheel]) -> None:
        for number in range(10):
            text = f"name: {folder}-{number}\nregistry: {server.address}/many\n"
            more = [extra[number % len(extra)]] if extra else []
            fleet.write(f"{folder}-{number}", f"{text}env: {{N: '{number}'}}\n", *shared, *more)

    write("first", [])
    imagekit("build", "first-*", "--push", "--locked")
    write("second", new)
    planned = imagekit("plan", "second-0/spec.yaml", "--push")
    log = Log(server)
    built = imagekit("build", "second-*", "--push", "--locked")

    assert log.manifests == 10
    layers = [digest for digest in log.blobs if digest not in configs(built)]
    assert len(layers) == len(set(layers)) == len(new)
    assert planned.count(" pushed ") == 1, planned
    assert planned.count(" mounted ") == len(shared) + 4  # base, environment, user, runtime
