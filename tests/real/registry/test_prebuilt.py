# SPDX-License-Identifier: Apache-2.0
"""`builder: prebuilt`: a registry's image as it is, by digest, and nothing that would change it."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.cli.main import main
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.layout import read_layout
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from tests.fakes.images import file_layer
from tests.fakes.registry_server import Server

pytestmark = [pytest.mark.registry, pytest.mark.network]

FILES = {
    "usr/bin/python3": b"\x00" + b"3.11.4\x00",
    "usr/bin/python3.11": b"\x00" + b"3.11.4\x00",
    "usr/lib/libc.so.6": b"stable release version 2.36.",
}


@pytest.fixture
def base(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RegistryReference:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    addition = Addition(file_layer(tmp_path, FILES), "base")
    image = assemble(None, [addition], Settings(), platform=Platform.of_this_machine())
    reference = RegistryReference.parse(f"{server.address}/prebuilt/base:1")
    RegistryClient().push(image, reference)
    return reference.at(image.digest)


def spec(folder: Path, base: RegistryReference, *more: str) -> str:
    path = folder / "spec.yaml"
    lines = [
        "name: thing",
        "object_storage: false",
        f"platform: {Platform.of_this_machine()}",
        *more,
    ]
    lines.append(f"base_image: {base.host}/{base.repository}:1")
    path.write_text("\n".join(lines))
    return str(path)


@pytest.mark.parametrize("name", ["prebuilt", "noop"])
def test_the_base_is_the_image(
    base: RegistryReference, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """By digest, under its own name, and copied where it is wanted."""
    made = tmp_path / "copy"
    assert main(["build", spec(tmp_path, base, f"builder: {name}"), "--to", f"oci:{made}"]) == 0
    assert capsys.readouterr().out == f"{base}\n"
    assert read_layout(made).digest == base.digest


def test_what_would_change_it_is_refused_by_name(
    base: RegistryReference, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of it at once."""
    more = ["builder: prebuilt", "env: {A: b}", "packages: [six]", "workdir: /srv"]
    assert main(["build", spec(tmp_path, base, *more)]) == 7
    assert "the spec has packages, env, workdir" in capsys.readouterr().err
