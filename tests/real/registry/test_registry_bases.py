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
from imagekit.oci.layer import FileLayer
from imagekit.oci.media_types import ZSTD_LAYER
from imagekit.oci.validate import validate
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from tests.fakes.fault_proxy import fault_proxy
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
}


def zstd_layer(folder: Path, files: dict[str, bytes]) -> FileLayer:
    plain = file_layer(folder, files)
    data = zstd.compress(gzip.decompress(plain.path.read_bytes()))
    path = folder / "zstd"
    path.write_bytes(data)
    return FileLayer(digest.of_bytes(data), plain.diff_id, len(data), path, ZSTD_LAYER)


def test_a_base_of_thirty_layers_is_read_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock reads its layers, gzip and zstd; a build its manifest and config; a push mounts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    layers = [file_layer(tmp_path, {f"etc/part-{at}": b"x"}) for at in range(LAYERS - 1)]
    layers.append(zstd_layer(tmp_path, FILES))
    additions = [Addition(layer, "part") for layer in layers]
    base = assemble(None, additions, Settings(), platform=Platform.of_this_machine())
    with fault_proxy(server.address) as proxy:
        at = f"{proxy.address}/thirty"
        RegistryClient().push(base, RegistryReference.parse(f"{at}/base:1"))
        spec = tmp_path / "spec.yaml"
        spec.write_text(
            f"name: tool\nregistry: {at}\nbase_image: {at}/base:1\ncompile_bytecode: false\n"
            f"object_storage: false\nplatform: {Platform.of_this_machine()}\n"
        )
        proxy.seen.clear()
        assert main(["lock", str(spec)]) == 0
        probed = {line.rpartition("/")[2] for line in proxy.lines("GET .*/blobs/")}
        assert {layer.digest for layer in layers} <= probed
        proxy.seen.clear()
        assert main(["build", str(spec), "--push"]) == 0

        read = proxy.lines("GET .*/base/blobs/")
        assert [line.rpartition("/")[2] for line in read] in ([], [base.config_digest])
        assert len(proxy.lines("POST .*mount=")) == LAYERS
        printed = RegistryClient().manifest_digest(RegistryReference.parse(f"{at}/base:1"))
        assert printed == base.digest
        tag = next(line for line in proxy.lines("PUT .*/manifests/")).rpartition("/")[2]
        pushed = RegistryClient().pull(RegistryReference.parse(f"{at}/tool:{tag}"))
    assert [x.digest for x in pushed.layers[:LAYERS]] == [x.digest for x in layers]
    validate(pushed)
