# SPDX-License-Identifier: Apache-2.0
"""Plans against a registry: what they say will be pushed, beside what the registry was sent."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from imagekit.builders.build import build
from imagekit.builders.existing import existing
from imagekit.builders.forecast import forecast
from imagekit.builders.latest import latest_image
from imagekit.builders.planned import Planned, plan_image
from imagekit.builders.why import explain
from imagekit.cli.main import main
from imagekit.errors import RegistryError
from imagekit.lock.model import LockedWheel
from imagekit.progress import Silent
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from tests.fakes.registry_server import Server
from tests.unit.imagekit.builders.project import OTHER, PLATFORM, Project

pytestmark = pytest.mark.registry
EDITS = 30
SENT = re.compile(r'PUT /v2/plans/thing/blobs/uploads/\S*digest=sha256%3A(\w+)\S* HTTP/1.1" 201')


class Edits:
    """A project that is changed at random, each time in one thing."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.random = random.Random(5)
        self.wheels = {name: project.wheel(name) for name in ("alpha", "beta", "gamma")}
        self.count = 0

    def edit(self) -> str:
        self.count += 1
        kinds: list[Callable[[], object]] = [self.environment, self.label, self.source, self.mode]
        kinds += [self.add, self.bump, self.remove, self.user, self.workdir, self.nothing]
        chosen = self.random.choice(kinds)
        chosen()
        return chosen.__name__

    def environment(self) -> None:
        self.project.spec = replace(self.project.spec, env={"N": str(self.count)})

    def label(self) -> None:
        self.project.spec = replace(self.project.spec, labels={"n": str(self.count)})

    def user(self) -> None:
        self.project.spec = replace(self.project.spec, user=str(self.count))

    def workdir(self) -> None:
        self.project.spec = replace(self.project.spec, workdir=f"/job/{self.count}")

    def source(self) -> None:
        (self.project.root / "src" / f"m{self.random.randrange(3)}.py").write_text(str(self.count))

    def mode(self) -> None:
        path = self.project.root / "src" / "task.py"
        path.chmod(path.stat().st_mode ^ 0o111)

    def add(self) -> None:
        name = f"extra{self.count}"
        self.wheels[name] = self.project.wheel(name)

    def bump(self) -> None:
        name = self.random.choice(sorted(self.wheels))
        self.wheels[name] = self.project.wheel(name, version=f"{self.count + 1}.0")

    def remove(self) -> None:
        if len(self.wheels) > 1:
            del self.wheels[self.random.choice(sorted(self.wheels))]

    def nothing(self) -> None:
        """A build that was done already."""


def planned(project: Project, wheels: list[LockedWheel], place: str) -> Planned:
    locks = project.locks({PLATFORM: wheels})
    return plan_image(project.spec, project.path, locks, Silent(), push_to=place)


def sent(log: Path, start: int) -> list[str]:
    return [f"sha256:{digest}" for digest in SENT.findall(log.read_text()[start:])]


def test_thirty_edits_come_to_what_their_plans_say(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each build has the planned digest where it was known; the registry's log has the blobs."""
    project = Project(tmp_path, monkeypatch)
    edits = Edits(project)
    place = f"{server.address}/plans/thing:1"
    exact = blobs = 0
    for _ in range(EDITS):
        what = edits.edit()
        wheels = list(edits.wheels.values())
        plan = planned(project, wheels, place)
        start = len(server.log.read_text())
        built = build(
            project.spec,
            project.path,
            project.locks({PLATFORM: wheels}),
            [f"docker://{place}"],
            Silent(),
        )
        uploaded = sent(server.log, start)
        sizes = {layer.digest: layer.size_bytes for layer in built.image.layers}
        sizes[built.image.config_digest] = len(built.image.config_bytes)
        assert plan.sending is not None
        pushed = {digest for digest, there in plan.sending.there.items() if there == "pushed"}
        if plan.digest is None:
            assert pushed < set(uploaded), what
            continue
        exact += 1
        blobs += len(uploaded)
        assert plan.digest == built.digest, what
        assert pushed == set(uploaded), what
        manifest = len(built.image.manifest_bytes) if plan.sending.size_bytes else 0
        assert plan.sending.size_bytes == sum(sizes[blob] for blob in uploaded) + manifest, what
    assert exact > EDITS // 2
    assert blobs > EDITS // 2


def test_layers_of_a_neighbouring_repository_are_mounted(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base that lies in the same registry is not pushed, and the plan knows."""
    project = Project(tmp_path, monkeypatch)
    client = RegistryClient()
    base = f"{server.address}/plans/base:1"
    built = project.build()
    client.push(built.image, RegistryReference.parse(base))
    project.section = {**project.section, "reference": base, "digest": built.digest}
    plan = planned(project, [], f"{server.address}/plans/other:1")
    assert [plan.there(layer) for layer in plan.platforms[0].layers[:5]] == ["mounted"] * 5


def test_a_registry_that_can_not_be_asked_is_no_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown is an error: a plan never guesses what has to be sent."""
    project = Project(tmp_path, monkeypatch)
    project.build()
    with pytest.raises(RegistryError, match=r"registry\.invalid"):
        planned(project, [], "registry.invalid/x:1")


def test_an_image_in_a_registry_is_inspected_and_explained(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its lock comes with its manifest; what a build would change of it is told by cause."""
    project = Project(tmp_path, monkeypatch)
    place = f"docker://{server.address}/plans/explained:1"
    built = project.build(project.wheel("alpha"), to=(place,))
    assert latest_image(project.path) == f"{place.removesuffix(':1')}@{built.digest}"
    assert main(["inspect", place, "--output", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert list(data["lock"]["packages"]) == ["alpha"]
    assert data["spec"]["source_root"] == "src"
    (project.root / "src" / "task.py").write_text("x = 2")
    (lock,) = project.locks({PLATFORM: [project.wheel("alpha")]})
    old = RegistryClient().pull(RegistryReference.parse(place.removeprefix("docker://")))
    changes = explain(old, forecast(project.spec, project.path, lock, Silent()))
    assert [str(each.cause) for each in changes] == ["file src/task.py: content"]


def test_an_image_exists_when_its_manifest_names_the_lock(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag that is there proves nothing, and an index has to name the lock of each platform."""
    project = Project(tmp_path, monkeypatch)
    reference = RegistryReference.parse(f"{server.address}/plans/existing:1")
    client = RegistryClient()
    alpha = project.locks({PLATFORM: [project.wheel("alpha")]})
    assert existing(reference, alpha, client).answer == "absent"
    built = project.build(project.wheel("alpha"), to=(f"docker://{reference}",))
    found = existing(reference, alpha, client)
    assert (found.answer, found.digest) == ("exists", built.digest)
    other = project.locks({PLATFORM: [project.wheel("beta")]})
    assert existing(reference, other, client).answer == "absent"
    both = {PLATFORM: [project.wheel("alpha")], OTHER: [project.wheel("alpha")]}
    assert existing(reference, project.locks(both), client).answer == "absent"
    built = project.build_all(both, to=(f"docker://{reference}",))
    found = existing(reference, project.locks(both), client)
    assert (found.answer, found.digest) == ("exists", built.digest)
