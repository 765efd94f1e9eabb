# SPDX-License-Identifier: Apache-2.0
"""Receipts of pushes: one question to the registry, and its answer decides."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from imagekit.registry.client import shared_client
from imagekit.registry.reference import RegistryReference
from tests.fakes.registry_server import PASSWORD, USER, Server, htpasswd, registry
from tests.unit.imagekit.fleet.fleet_project import Fleet
from tests.unit.imagekit.receipts.program import Ran, run

pytestmark = pytest.mark.registry
REQUEST = re.compile(r'"(GET|HEAD|POST|PUT|PATCH) (/v2/\S+) HTTP/1.1" (\d+)')


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    return Fleet(tmp_path, monkeypatch)


def push(*specs: str) -> Ran:
    return run("build", *specs, "--push", "--locked")


def test_a_push_that_would_send_nothing_asks_once(fleet: Fleet, server: Server) -> None:
    """Of each image; no byte of any is sent."""
    for name in ("a", "b"):
        fleet.write(name, f"name: {name}\nregistry: {server.address}/receipts\n")
    first = push("a", "b")
    before = len(server.log.read_text())

    again = push("a", "b")

    assert (0, True, first.stdout) == (again.code, again.from_receipt, again.stdout)
    asked = REQUEST.findall(server.log.read_text()[before:])
    assert [("HEAD", "200")] * 2 == [(method, status) for method, _, status in asked]
    assert "requests" not in again.modules


def test_a_tag_that_stands_for_something_else_is_pushed_to(fleet: Fleet, server: Server) -> None:
    """Whoever put it there."""
    fleet.write("a", f"name: moved\nregistry: {server.address}/receipts\n")
    first = push("a")
    name, _, digest = first.stdout.strip().partition("@")
    other = fleet.write("b", f"name: other\nregistry: {server.address}/receipts\nenv: {{A: b}}\n")
    assert push(str(other)).code == 0
    client = shared_client()
    (tag,) = json.loads(run("matrix", "a", "--all", "--output", "json").stdout)["include"]
    elsewhere = push("b").stdout.strip()
    client.push(
        client.pull(RegistryReference.parse(elsewhere)),
        RegistryReference.parse(f"{name}:{tag['tag']}"),
    )

    again = push("a")

    assert not again.from_receipt
    assert client.manifest_digest(RegistryReference.parse(f"{name}:{tag['tag']}")) == digest
    assert push("a").from_receipt


def test_a_registry_with_accounts_is_asked_by_the_client(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the user's credentials; one that is gone has no answer, and the build says so."""
    with registry(tmp_path / "registry", auth=htpasswd(tmp_path)) as guarded:
        secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (tmp_path / "docker").mkdir()
        auths = {"auths": {guarded.address: {"auth": secret}}}
        (tmp_path / "docker/config.json").write_text(json.dumps(auths))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
        fleet.write("a", f"name: a\nregistry: {guarded.address}/receipts\n")
        first = push("a")
        assert first.code == 0, first.stderr
        again = push("a")
        assert (True, first.stdout) == (again.from_receipt, again.stdout)
    gone = push("a")
    assert not gone.from_receipt
    assert gone.code != 0


def test_a_changed_file_is_sent_after_one_question_about_the_rest(
    fleet: Fleet, server: Server
) -> None:
    """The image before it says which layers are there: none of them is asked after."""
    wheels = [fleet.project.wheel(name) for name in ("psi", "chi", "phi")]
    text = f"name: edits\nsource_root: src\nregistry: {server.address}/receipts\n"
    fleet.write("a", text, *wheels)
    first = push("a")
    before = len(server.log.read_text())
    (fleet.root / "a/src/task.py").write_text("changed = True\n")

    assert push("a").stdout != first.stdout

    asked = REQUEST.findall(server.log.read_text()[before:])
    digest = first.stdout.strip().partition("@")[2]
    assert ("GET", f"/v2/receipts/edits/manifests/{digest}", "200") in asked
    methods = [method for method, path, _ in asked if path != "/v2/"]
    expected = {"GET": 2, "HEAD": 2, "POST": 2, "PUT": 3}  # source and config are new
    assert expected == {method: methods.count(method) for method in sorted(set(methods))}
