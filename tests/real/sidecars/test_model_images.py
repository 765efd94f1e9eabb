# SPDX-License-Identifier: Apache-2.0
"""Model files through a real registry: packed, pushed, locked, brought."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from imagekit.cli.main import program
from imagekit.layers.model_files import pack
from imagekit.oci.descriptor import Platform
from imagekit.registry.access import Access
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from sidecars.errors import FilesError
from sidecars.weights.bring import bring
from tests.fakes.fault_proxy import Fault, fault_proxy
from tests.fakes.registry_server import PASSWORD, USER, Server, registry
from tests.fakes.registry_tokens import TokenServer, token_server

pytestmark = pytest.mark.registry
SHARD = 1_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for number in range(8):
        (folder / f"model-{number}.safetensors").write_bytes(os.urandom(SHARD))
    (folder / "config.json").write_text("{}")
    return folder


def pushed(model: Path, server: Server, name: str, tmp_path: Path, login: str | None = None) -> int:
    """The bytes that were sent."""
    environ = {"DOCKER_CONFIG": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    if login is not None:
        (tmp_path / "config.json").write_text(login)
    client = RegistryClient(Access(environ=environ))
    image = pack(model, Platform(), small_bytes=SHARD)
    report = client.push(image, RegistryReference.parse(f"{server.address}/{name}"))
    return report.sent_bytes


def locked(source: str, *words: str) -> Any:
    done = CliRunner().invoke(program, ["sidecar", "lock", source, *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def brought(source: str, into: Path, environment: dict[str, str], **more: Any) -> dict[str, bytes]:
    until = time.monotonic() + 60
    bring({"source": source, **more}, str(into), environment, until, lambda _: None)
    return {path.name: path.read_bytes() for path in into.iterdir() if path.name[0] != "."}


def test_one_changed_shard_moves_only_itself(model: Path, server: Server, tmp_path: Path) -> None:
    """Of eight, and what the registry is sent for it is an eighth."""
    first = pushed(model, server, "shards:1", tmp_path)
    assert first > 8 * SHARD
    (model / "model-3.safetensors").write_bytes(os.urandom(SHARD))
    second = pushed(model, server, "shards:2", tmp_path)
    assert SHARD < second < SHARD + 20_000
    assert pushed(model, server, "shards:3", tmp_path) < 10_000  # the manifest


def test_a_packed_model_arrives_as_it_was(model: Path, server: Server, tmp_path: Path) -> None:
    """Locked by its manifest: the shards are not fetched for that."""
    pushed(model, server, "arrives:1", tmp_path)
    source = f"oci://{server.address}/arrives:1"
    lock = locked(source)
    assert lock["source"].startswith(f"oci://{server.address}/arrives@sha256:")
    assert {each["path"] for each in lock["files"]} == {each.name for each in model.iterdir()}
    found = brought(source, tmp_path / "brought", {}, lock=lock)
    assert found == {each.name: each.read_bytes() for each in model.iterdir()}
    chosen = brought(source, tmp_path / "chosen", {}, include=["config.json", "*-7.*"])
    assert set(chosen) == {"config.json", "model-7.safetensors"}


def test_a_flipped_bit_is_found_before_the_server_starts(
    model: Path, server: Server, tmp_path: Path
) -> None:
    """A lock of other weights, and nothing appears under the model's name."""
    pushed(model, server, "flipped:1", tmp_path)
    lock = locked(f"oci://{server.address}/flipped:1")
    data = bytearray((model / "model-5.safetensors").read_bytes())
    data[SHARD // 2] ^= 1
    (model / "model-5.safetensors").write_bytes(data)
    pushed(model, server, "flipped:1", tmp_path)
    lock["source"] = f"oci://{server.address}/flipped:1"
    with pytest.raises(FilesError, match=r"not the files of the lock: model-5\.safetensors"):
        brought(lock["asked"], tmp_path / "brought", {}, lock=lock)
    assert not (tmp_path / "brought").exists()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    with token_server(tmp_path_factory.mktemp("tokens"), users={USER: PASSWORD}) as started:
        yield started


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, tokens: TokenServer) -> Iterator[Server]:
    """It believes the tokens of `tokens`, and nobody without one."""
    with registry(tmp_path_factory.mktemp("guarded"), auth=tokens.auth) as started:
        yield started


def login_at(address: str, password: str = PASSWORD) -> str:
    return json.dumps({"auths": {address: {"username": USER, "password": password}}})


def test_a_registry_that_asks_for_tokens_is_read(
    model: Path, guarded: Server, tokens: TokenServer, tmp_path: Path
) -> None:
    """One token of its token server is enough; the password goes nowhere else, nor into texts."""
    pushed(model, guarded, "guarded:1", tmp_path, login_at(guarded.address))
    tokens.given.clear()
    source = f"oci://{guarded.address}/guarded:1"
    environment = {"DOCKER_AUTH_CONFIG": login_at(guarded.address)}
    found = brought(source, tmp_path / "brought", environment)
    assert found == {each.name: each.read_bytes() for each in model.iterdir()}
    assert tokens.given == [("repository:guarded:pull",)]
    for wrong in ({}, {"DOCKER_AUTH_CONFIG": login_at(guarded.address, "wrong word")}):
        with pytest.raises(FilesError, match=r"answers 401.*DOCKER_AUTH_CONFIG") as caught:
            brought(source, tmp_path / "wrong", wrong)
        assert "wrong word" not in str(caught.value)


def test_a_token_that_ends_in_mid_download_is_renewed(
    model: Path, guarded: Server, tokens: TokenServer, tmp_path: Path
) -> None:
    """What has come is not asked for again."""
    pushed(model, guarded, "short:1", tmp_path, login_at(guarded.address))
    tokens.given.clear()
    tokens.lives_seconds = 2
    last = pack(model, Platform(), small_bytes=SHARD).layers[5].digest
    slow = Fault(f"^GET.*{last}", "slow", seconds=2.5)
    try:
        with fault_proxy(guarded.address, slow) as proxy:
            environment = {"DOCKER_AUTH_CONFIG": login_at(proxy.address)}
            found = brought(f"oci://{proxy.address}/short:1", tmp_path / "brought", environment)
            lines = proxy.lines("manifests|blobs")
    finally:
        tokens.lives_seconds = 600
    assert found == {each.name: each.read_bytes() for each in model.iterdir()}
    assert len(tokens.given) > 1
    renewed = lines.index(next(line for line in lines if "manifests" in line), 1)
    assert {line.rpartition("/")[2] for line in lines[renewed + 1 :]} == {last}
