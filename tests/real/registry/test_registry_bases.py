# SPDX-License-Identifier: Apache-2.0
"""A base of many layers in a registry: probed once, then known by its manifest and config."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from imagekit.cli.main import main
from imagekit.oci import digest
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.oci.layer import FileLayer
from imagekit.oci.media_types import ZSTD_LAYER
from imagekit.oci.validate import validate
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from tests.fakes.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.fakes.images import file_layer
from tests.fakes.registry_server import Server

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.registry

LAYERS = 30
FILES = {
    "usr/bin/python3": b"\x00" + b"3.11.4\x00",
    "usr/bin/python3.11": b"\x00" + b"3.11.4\x00",
    "usr/lib/libc.so.6": b"stable release version 2.36.",
    "usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA": b"",
}


def zstd_layer(folder: Path, files: dict[str, bytes]) -> FileLayer:
    plain = file_layer(folder, files)
    data = zstd.compress(gzip.decompress(plain.path.read_bytes()))
    path = folder / "zstd"
    path.write_bytes(data)
    return FileLayer(digest.of_bytes(data), plain.diff_id, len(data), path, ZSTD_LAYER)


@pytest.fixture
def layers(tmp_path: Path) -> list[FileLayer]:
    """Of a base: gzip, and the last one zstd."""
    made = [file_layer(tmp_path, {f"etc/part-{at}": b"x"}) for at in range(LAYERS - 1)]
    return [*made, zstd_layer(tmp_path, FILES)]


def pushed(at: str, layers: list[FileLayer]) -> Image:
    additions = [Addition(layer, "part") for layer in layers]
    base = assemble(None, additions, Settings(), platform=Platform.of_this_machine())
    RegistryClient().push(base, RegistryReference.parse(at))
    return base


def spec_on(base: str, folder: Path) -> str:
    path = folder / "spec.yaml"
    path.write_text(
        f"name: tool\nregistry: {base.rpartition('/')[0]}\nbase_image: {base}\n"
        "compile_bytecode: false\nobject_storage: false\n"
        f"platform: {Platform.of_this_machine()}\n"
    )
    return str(path)


def read_of(proxy: FaultProxy, base: Image) -> list[str]:
    """Digests of the layers that were fetched since this was asked last."""
    found = [line.rpartition("/")[2] for line in proxy.lines("GET .*/base/blobs/")]
    proxy.seen.clear()
    return sorted(digest for digest in found if digest != base.config_digest)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_a_base_of_thirty_layers_is_read_once(
    server: Server, tmp_path: Path, layers: list[FileLayer]
) -> None:
    """The lock reads its layers, gzip and zstd; a build its manifest and config; a push mounts."""
    with fault_proxy(server.address) as proxy:
        at = f"{proxy.address}/thirty"
        base = pushed(f"{at}/base:1", layers)
        spec = spec_on(f"{at}/base:1", tmp_path)
        proxy.seen.clear()
        assert main(["lock", spec]) == 0
        assert read_of(proxy, base) == sorted(layer.digest for layer in layers)
        assert main(["build", spec, "--push"]) == 0

        assert len(proxy.lines("POST .*mount=")) == LAYERS
        tag = proxy.lines("PUT .*/tool/manifests/")[0].rpartition("/")[2]
        assert read_of(proxy, base) == []
        built = RegistryClient().pull(RegistryReference.parse(f"{at}/tool:{tag}"))
    assert [x.digest for x in built.layers[:LAYERS]] == [x.digest for x in layers]
    validate(built)


def test_a_base_that_shares_layers_is_fetched_by_the_layer(
    server: Server, tmp_path: Path, layers: list[FileLayer], capsys: pytest.CaptureFixture[str]
) -> None:
    """29 of 30 shared: one is fetched, and told. The same again, under whatever name: none."""
    with fault_proxy(server.address) as proxy:
        at = f"{proxy.address}/shared"
        first = pushed(f"{at}/base:1", layers)
        assert main(["lock", spec_on(f"{at}/base:1", tmp_path)]) == 0
        assert len(read_of(proxy, first)) == LAYERS
        assert main(["lock", "--upgrade", spec_on(f"{at}/base:1", tmp_path)]) == 0
        assert read_of(proxy, first) == []

        newer = file_layer(tmp_path, {"etc/passwd": b"newer:x:5:5\n"})
        second = pushed(f"{at}/base:2", [*layers[1:], newer])
        capsys.readouterr()
        assert main(["lock", spec_on(f"{at}/base:2", tmp_path)]) == 0
        assert read_of(proxy, second) == [newer.digest]
        told = capsys.readouterr().err
        assert f"pulling {newer.digest[7:19]}" in told
        lock = (tmp_path / "pylock.toml").read_text()
        assert "newer:x:5:5" in lock
        assert 'six = "1.16.0"' in lock


def test_a_layer_that_the_registry_spoils_is_not_remembered(
    server: Server, tmp_path: Path, layers: list[FileLayer]
) -> None:
    """Other bytes are refused; the next lock fetches that layer, and what was cut off with it."""
    spoiled = layers[3].digest
    with fault_proxy(server.address) as proxy:
        base = pushed(f"{proxy.address}/spoiled/base:1", layers)
        spec = spec_on(f"{proxy.address}/spoiled/base:1", tmp_path)
        proxy.faults.append(Fault(f"GET .*{spoiled}", "flip down", 1))
        assert main(["lock", spec]) == 6
        read_of(proxy, base)
        assert main(["lock", spec]) == 0
        assert spoiled in read_of(proxy, base)
