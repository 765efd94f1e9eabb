# SPDX-License-Identifier: Apache-2.0
"""Layers that others made: what a machine with nothing but spec, lock and registry does."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagekit.builders.known import VARIABLE
from imagekit.builders.model import Built
from imagekit.builders.options import Options
from imagekit.errors import BuildError, FetchError, IntegrityError
from imagekit.lock import file
from imagekit.oci.document import encode
from imagekit.oci.image import Image
from imagekit.oci.layer import FileLayer
from imagekit.oci.validate import validate
from imagekit.progress.board import Board
from imagekit.progress.plain import Plain
from imagekit.registry.client import RegistryClient
from imagekit.registry.records import LayerRecords, record_of
from imagekit.registry.reference import RegistryReference
from imagekit.spec.model import ImageSpec
from tests.fakes.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.fakes.images import file_layer
from tests.fakes.registry_server import Server
from tests.unit.imagekit.builders.project import Project

pytestmark = pytest.mark.registry

REMEMBER = Options(push=True)
PUSH = Options(push=True, remember=False)


class Team:
    """A project of its own repositories in the registry, and a proxy that counts requests."""

    def __init__(self, project: Project, proxy: FaultProxy, name: str) -> None:
        self.project = project
        self.proxy = proxy
        self.cache = f"{proxy.address}/{name}/layers"
        self.name = name
        self.use()

    def use(self, *caches: str, variable: str = "", name: str = "image") -> None:
        self.project.spec = ImageSpec(
            name=f"{self.name}/{name}",
            registry=self.proxy.address,
            compile_bytecode=False,
            layer_cache=caches,
            env={"VARIABLE": variable},
        )

    def lines(self, pattern: str = ".") -> list[str]:
        return self.proxy.lines(pattern)

    def pushed(self, built: Built) -> Image:
        name = f"{built.reference}@{built.digest}"
        return RegistryClient().pull(RegistryReference.parse(name))


@pytest.fixture
def team(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Team]:
    monkeypatch.delenv(VARIABLE, raising=False)
    project = Project(tmp_path, monkeypatch)
    project.write_lock(project.wheel("alpha"), project.wheel("beta"))
    name = request.node.originalname.removeprefix("test_")[:40].strip("_").replace("_", "-")
    with fault_proxy(server.address) as proxy:
        yield Team(project, proxy, name)


@contextlib.contextmanager
def hanging_up() -> Iterator[tuple[str, list[object]]]:
    """A server that takes every call and ends it at once, and who called."""
    calls: list[object] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            calls.append(self.client_address)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", calls
        finally:
            server.shutdown()
            thread.join()


def without_table(project: Project) -> None:
    """A lock as `imagekit lock` makes it: nothing was built from it yet."""
    file.write(file.lock_path(project.path), [dataclasses.replace(project.lock(), layers=())])


def test_the_lock_and_the_registry_are_enough_for_the_same_image(team: Team) -> None:
    """The manifest under the tag is read, and that is all: no wheel, no layer."""
    first = team.project.build_locked(options=REMEMBER)
    team.project.forget()
    team.proxy.seen.clear()
    again = team.project.build_locked(options=PUSH)

    assert again.digest == first.digest
    assert len(team.lines()) == 2  # how the registry is spoken to, and the manifest
    validate(team.pushed(again))


def test_another_image_of_the_same_layers_asks_once_for_each(team: Team) -> None:
    """The layers are there: the registry says so, and nothing is made or sent but documents."""
    team.project.build_locked(options=REMEMBER)
    team.project.forget()
    team.use(variable="changed")
    team.proxy.seen.clear()
    built = team.project.build_locked(options=PUSH)
    layers = [layer.digest for layer in built.image.layers]

    assert all(len(team.lines(f"HEAD .*{digest}")) <= 1 for digest in layers)
    assert not team.lines("GET .*blobs/")
    assert team.proxy.sent_bytes < 10_000
    validate(team.pushed(built))


def test_what_the_registry_lost_is_made(team: Team) -> None:
    """The lock knows the layers, the new repository has none of them."""
    first = team.project.build_locked(options=REMEMBER)
    team.project.forget_layers()
    team.use(name="elsewhere")
    built = team.project.build_locked(options=PUSH)

    assert built.digest == first.digest
    validate(team.pushed(built))


def test_a_trusted_repository_gives_other_specs_their_layers(team: Team) -> None:
    """Without any table: one request finds each layer, one mounts it, and it is the same image."""
    team.use(team.cache)
    team.project.build_locked(options=PUSH)
    expected = team.project.build_locked()
    without_table(team.project)
    team.project.forget()
    team.use(team.cache, name="other")
    team.proxy.seen.clear()
    built = team.project.build_locked(options=PUSH)

    assert built.digest == expected.digest
    assert len(team.lines("GET .*/layers/manifests/layer-")) == 3
    assert len(team.lines("POST .*mount=.*layers")) == 3
    assert not team.lines("GET .*blobs/")
    validate(team.pushed(built))


def test_the_referrers_api_is_not_needed(team: Team) -> None:
    """A registry without it serves builds, records and what reads them: it is never asked.

    Nor is its fallback used, a tag that is named after a digest (distribution-spec 1.1).
    """
    team.proxy.faults.append(Fault("/referrers/", "answer", 999, 404))
    team.use(team.cache)
    first = team.project.build_locked(options=REMEMBER)
    without_table(team.project)
    team.project.forget()
    again = team.project.build_locked(options=PUSH)
    validate(team.pushed(again))

    assert again.digest == first.digest
    assert team.lines("PUT .*/manifests/")
    assert not team.lines("/referrers/|/manifests/sha256-")


def test_records_are_written_once(team: Team) -> None:
    """The second push of a machine asks the layer cache nothing at all."""
    team.use(team.cache)
    team.project.build_locked(options=PUSH)
    team.proxy.seen.clear()
    team.project.build_locked(options=PUSH)

    assert not team.lines("/layers/")


def test_layers_for_this_machine_are_fetched_and_not_made(team: Team) -> None:
    """An image for the local store needs the bytes: they come from the trusted repository."""
    team.use(team.cache)
    expected = team.project.build_locked(options=PUSH)
    without_table(team.project)
    team.project.forget()
    built = team.project.build_locked()

    assert built.digest == expected.digest
    validate(built.image)


def test_nobody_is_believed_who_is_not_trusted(team: Team) -> None:
    """Without the repository's name in spec or environment it is not even asked."""
    team.use(team.cache)
    team.project.build_locked(options=PUSH)
    without_table(team.project)
    team.project.forget()
    team.use()
    team.proxy.seen.clear()

    with pytest.raises(FetchError):
        team.project.build_locked()
    assert not team.lines("/layers/")


def test_the_environment_replaces_who_is_trusted(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set and empty it switches the layer cache off; with a name it needs nothing in the spec."""
    team.use()
    monkeypatch.setenv(VARIABLE, team.cache)
    team.project.build_locked(options=PUSH)
    without_table(team.project)
    team.project.forget()
    team.project.build_locked()
    team.project.forget()
    team.use(team.cache)
    monkeypatch.setenv(VARIABLE, "")

    with pytest.raises(FetchError):
        team.project.build_locked()


def recipes(team: Team) -> dict[str, str]:
    """Keys of the recipes by the layers that a build of this machine gave them."""
    return {layer.digest: layer.recipe for layer in team.project.lock().layers}


def lying_record(team: Team, folder: Path) -> FileLayer:
    """Record a layer of our own for the recipe of a wheel, in the repository that is trusted."""
    team.project.build_locked(options=Options())
    recipe = next(iter(recipes(team).values()))
    false = file_layer(folder, {"opt/venv/evil": b"evil"})
    LayerRecords(RegistryClient(), team.cache).add(recipe, false)
    without_table(team.project)
    return false


def test_whoever_is_trusted_decides_until_it_is_made_here(team: Team) -> None:
    """A false record gets into images, never into the lock or the cache; a rebuild goes past it."""
    true = team.project.build_locked()
    false = lying_record(team, team.project.root)
    team.project.forget_layers()
    team.use(team.cache, name="believing")
    believing = team.project.build_locked(options=REMEMBER)
    table = recipes(team)
    team.use(team.cache, name="rebuilt")
    rebuilt = team.project.build_locked(options=Options(rebuild=True, remember=False))
    team.use()
    without = team.project.build_locked()

    assert false.digest in {layer.digest for layer in believing.image.layers}
    assert false.digest not in table
    assert rebuilt.digest == true.digest
    assert without.digest == true.digest


def test_the_lock_is_believed_before_a_record(team: Team) -> None:
    """The lock belongs to the spec; the record may be anybody's."""
    true = team.project.build_locked(options=Options())
    lock = team.project.lock()
    false = lying_record(team, team.project.root)
    file.write(file.lock_path(team.project.path), [lock])
    team.project.forget_layers()
    team.use(team.cache)
    built = team.project.build_locked()

    assert built.digest == true.digest
    assert false.digest not in {layer.digest for layer in built.image.layers}


def spoilt(record: str, team: Team) -> None:
    """Put something else under the tag of every record of the repository."""
    team.project.build_locked(options=Options())
    client = RegistryClient()
    for digest, recipe in recipes(team).items():
        layers = team.project.build_locked().image.layers
        layer = next(each for each in layers if each.digest == digest)
        assert isinstance(layer, FileLayer)
        manifest = json.loads(record_of(recipe, layer).manifest_bytes)
        if record == "of another recipe":
            manifest["annotations"]["dev.imagekit.recipe"] = "0" * 64
        elif record == "without diff_id":
            del manifest["annotations"]["dev.imagekit.diff-id"]
        elif record == "of no layer":
            manifest["artifactType"] = "application/x"
        else:
            manifest["annotations"]["dev.imagekit.diff-id"] = "sha256:" + "0" * 64
        image = Image(encode(manifest), b"{}", (layer,))
        client.push(image, RegistryReference.parse(f"{team.cache}:layer-{recipe}"))
    without_table(team.project)


@pytest.mark.parametrize("record", ["of another recipe", "without diff_id", "of no layer"])
def test_a_record_that_makes_no_sense_is_told_and_not_used(team: Team, record: str) -> None:
    """The layer is made as if there were no cache, and the image is the right one."""
    expected = team.project.build_locked()
    spoilt(record, team)
    team.project.forget_layers()
    team.use(team.cache)
    said = io.StringIO()
    built = team.project.build_locked(progress=Board([Plain(said)]))

    assert f"layer cache {team.cache} is not used" in said.getvalue()
    assert built.digest == expected.digest


def test_a_record_whose_layer_is_not_what_it_says_is_an_error(team: Team) -> None:
    """The layer unpacks to something else than the record says, and is made to find out."""
    spoilt("with another diff_id", team)
    team.project.forget_layers()
    team.use(team.cache)

    with pytest.raises(IntegrityError, match="a registry's record says that the layer is"):
        team.project.build_locked()


def test_a_new_package_needs_its_own_wheel_alone(team: Team) -> None:
    """Of the others the records say which paths they write, so conflicts are found all the same."""
    team.use(team.cache)
    team.project.build_locked(options=PUSH)
    team.project.forget()
    first, second = team.project.lock().packages
    team.project.write_lock(first, second, team.project.wheel("gamma"))
    team.proxy.seen.clear()
    validate(team.pushed(team.project.build_locked(options=PUSH)))
    assert len(team.lines("GET .*/layers/blobs")) == 2

    team.project.forget()
    team.project.write_lock(first, second, team.project.wheel("delta", module="alpha"))
    with pytest.raises(BuildError, match=r"alpha.* and delta.* both write .*alpha/__init__\.py"):
        team.project.build_locked(options=PUSH)


def test_a_cache_that_is_not_there_is_asked_once(team: Team) -> None:
    """No layer waits for it again, one line says so, and the image is the right one."""
    expected = team.project.build_locked()
    without_table(team.project)
    team.project.forget_layers()
    said = io.StringIO()
    with hanging_up() as (address, calls):
        team.use(f"{address}/team/layers")
        built = team.project.build_locked(progress=Board([Plain(said)]))
    assert len(calls) == 2  # as HTTP and as TLS: it is on this machine
    told = [line for line in said.getvalue().splitlines() if "is not used" in line]
    assert len({line.partition(" ")[2].removesuffix(" DONE 0.0s") for line in told}) == 1, told
    assert built.digest == expected.digest


@pytest.mark.parametrize("action", ["flip down", "answer"])
def test_a_cache_that_fails_is_told_and_not_used(team: Team, action: Any) -> None:
    """Wrong bytes, or a refusal: the image is made here, and it is the right one."""
    team.use(team.cache)
    expected = team.project.build_locked(options=PUSH)
    without_table(team.project)
    team.project.forget_layers()
    where = "GET .*/layers/blobs" if action == "flip down" else "/layers/"
    team.proxy.faults.append(Fault(where, action, times=99, status=403))
    said = io.StringIO()
    built = team.project.build_locked(progress=Board([Plain(said)]))

    assert f"layer cache {team.cache} is not used" in said.getvalue()
    assert built.digest == expected.digest
    validate(built.image)
