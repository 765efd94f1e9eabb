# SPDX-License-Identifier: Apache-2.0
"""Builds that stand on a registry's image and go to a registry, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagekit.builders.build import build
from imagekit.builders.runtime import runtime_pin
from imagekit.cli.main import main
from imagekit.errors import BuildError
from imagekit.lock.ensure import ensure_lock
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.image import Image
from imagekit.oci.validate import validate
from imagekit.progress import Silent
from imagekit.registry.client import RegistryClient, shared_client
from imagekit.registry.reference import RegistryReference
from imagekit.spec.load import load_spec
from tests.fakes.registry_server import Server
from tests.real.builds import new_host

pytestmark = [pytest.mark.registry, pytest.mark.network]


@pytest.fixture(scope="module")
def debian(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """A base in the registry: the embedded one's layer, as an image of its own."""
    folder = tmp_path_factory.mktemp("debian")
    (folder / "spec.yaml").write_text(
        "name: debian\npython_version: '3.11'\nobject_storage: false\n"
    )
    spec = load_spec(folder / "spec.yaml")
    path = folder / "spec.yaml"
    locks = ensure_lock(spec, path, locked=False, runtime=runtime_pin(), progress=Silent())
    built = build(spec, path, locks, [f"oci:{folder}/image"], Silent()).image
    base = assemble(
        None,
        [Addition(built.layers[0], "debian")],
        Settings(environment={"PATH": "/usr/bin:/bin"}),
        platform=built.platform,
    )
    RegistryClient().push(base, RegistryReference.parse(f"{server.address}/debian:bookworm"))
    return base


def project(folder: Path, server: Server, packages: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(
        f"name: tool\nregistry: {server.address}/team\n"
        f"base_image: {server.address}/debian:bookworm\npackages: [{packages}]\n"
        "object_storage: false\n"
    )
    return path


def test_an_image_is_built_on_a_registrys_base_and_pushed(
    server: Server, debian: Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The base's layers are the image's first, mounted and not sent; the lock pins the base."""
    path = project(tmp_path, server, "click")
    assert main(["build", str(path), "--push"]) == 0
    printed = capsys.readouterr().out.strip()
    pushed = shared_client().pull(RegistryReference.parse(printed))

    assert printed.startswith(f"{server.address}/team/tool@sha256:")
    assert pushed.layers[0].digest == debian.layers[0].digest
    assert debian.digest in (tmp_path / "pylock.toml").read_text()
    validate(pushed)


def test_one_package_added_sends_its_layer_alone(
    server: Server, debian: Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the registry has is not sent again; nothing changed sends nothing."""
    del debian
    path = project(tmp_path, server, "click")
    assert main(["build", str(path), "--to", f"docker://{server.address}/added:1"]) == 0
    project(tmp_path, server, "click, iniconfig")
    assert main(["lock", str(path)]) == 0
    assert main(["build", str(path)]) == 0
    image = capsys.readouterr().out.split()[-1]
    reports = []
    for _ in range(2):
        assert main(["push", image, f"{server.address}/added:1", "--output", "json"]) == 0
        reports.append(json.loads(capsys.readouterr().out))

    assert reports[0]["uploaded"] == 2  # the package's layer, and the configuration
    assert reports[0]["sent_bytes"] < 30_000
    assert (reports[1]["uploaded"], reports[1]["sent_bytes"]) == (0, 0)


def test_a_tag_that_moved_does_not_move_the_base(
    server: Server, debian: Image, tmp_path: Path
) -> None:
    """The lock pins a digest: a build stands on it, whatever the tag says by now."""
    path = project(tmp_path, server, "iniconfig")
    spec = load_spec(path)
    locks = ensure_lock(spec, path, locked=False, runtime=runtime_pin(), progress=Silent())
    other = assemble(debian, [], Settings(labels={"moved": "yes"}))
    tag = RegistryReference.parse(f"{server.address}/debian:bookworm")
    RegistryClient().push(other, tag)
    try:
        built = build(spec, path, locks, [f"oci:{tmp_path}/image"], Silent()).image
    finally:
        RegistryClient().push(debian, tag)

    assert "moved" not in built.config.object("config").text_map("Labels")


def test_a_base_that_the_registry_does_not_have_is_a_clear_error(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the image, and no lock is written."""
    path = project(tmp_path, server, "click")
    path.write_text(path.read_text().replace("debian:bookworm", "nothing:here"))

    assert main(["lock", str(path)]) == BuildError.exit_code
    assert not (tmp_path / "pylock.toml").exists()
    assert f"{server.address}/nothing:here" in capsys.readouterr().err


def test_a_fresh_machine_needs_no_wheel_and_no_debian_package(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Spec, lock and registry give the same image on the embedded base; nothing is downloaded."""
    path = tmp_path / "spec.yaml"
    path.write_text(f"name: fresh\nregistry: {server.address}/team\npackages: [click]\n")
    assert main(["build", str(path), "--push"]) == 0
    printed = capsys.readouterr().out
    host = new_host(tmp_path / "fresh")
    done = host.run("build", "--locked", "--push", path)

    assert (done.returncode, done.stdout) == (0, printed), done.stderr
    assert list(host.files.iterdir()) == []
    assert not (host.cache / "debian").exists()
