# SPDX-License-Identifier: Apache-2.0
"""Who else reads what was pushed: an index of two platforms, with gzip and zstd layers."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from imagekit.oci import digest
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.oci.index import ImageIndex
from imagekit.oci.layer import FileLayer
from imagekit.oci.media_types import ZSTD_LAYER
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from imagekit.spec.model import PLATFORMS
from tests.fakes.images import file_layer
from tests.fakes.registry_server import Server

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.registry

HERE = Platform.of_this_machine()


def zstd_layer(folder: Path, files: dict[str, bytes]) -> FileLayer:
    plain = file_layer(folder, files)
    data = zstd.compress(gzip.decompress(plain.path.read_bytes()))
    path = folder / digest.of_bytes(data).removeprefix("sha256:")
    path.write_bytes(data)
    return FileLayer(digest.of_bytes(data), plain.diff_id, len(data), path, ZSTD_LAYER)


def image_for(platform: str, *layers: FileLayer) -> Image:
    additions = [Addition(layer, "test") for layer in layers]
    return assemble(None, additions, Settings(), platform=Platform.parse(platform))


@pytest.fixture(scope="module")
def indexes(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageIndex]:
    """Of gzip layers alone, and with one of zstd; pushed to `readers:NAME`."""
    folder = tmp_path_factory.mktemp("readers")
    found = {}
    for name, make in (("gzip", file_layer), ("zstd", zstd_layer)):
        images = tuple(
            image_for(
                platform,
                file_layer(folder, {"etc/first": os.urandom(2000)}),
                make(folder, {"etc/platform": platform.encode(), "etc/kind": name.encode()}),
            )
            for platform in PLATFORMS
        )
        found[name] = ImageIndex(images)
        client = RegistryClient()
        client.push(found[name], RegistryReference.parse(f"{server.address}/readers:{name}"))
        client.close()
    return found


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout.strip()


@pytest.mark.docker
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_docker_pulls_its_platform_of_an_index(
    server: Server, indexes: dict[str, ImageIndex], kind: str
) -> None:
    """By tag, with the digest of the index, and unpacks what it is for; zstd from Docker 23 on."""
    place = f"{server.address}/readers:{kind}"
    version = run("docker", "version", "--format={{.Server.Version}}")
    if kind == "zstd" and int(version.partition(".")[0]) < 23:
        done = subprocess.run(
            ["docker", "pull", place], capture_output=True, text=True, check=False
        )
        assert "failed to register layer" in done.stderr
        return
    try:
        run("docker", "pull", "--quiet", place)
        assert run(
            "docker", "image", "inspect", "--format={{.Os}}/{{.Architecture}}", place
        ) == str(HERE)
        digests = run("docker", "image", "inspect", "--format={{.RepoDigests}}", place)
        assert indexes[kind].digest in digests
        container = run("docker", "create", place, "none")
        archive = subprocess.run(
            ["docker", "cp", f"{container}:/etc/platform", "-"], capture_output=True, check=True
        ).stdout
        run("docker", "rm", container)
        assert str(HERE).encode() in archive
    finally:
        subprocess.run(["docker", "image", "rm", "-f", place], capture_output=True, check=False)


@pytest.mark.skopeo
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_skopeo_copies_every_platform_of_an_index(
    server: Server, indexes: dict[str, ImageIndex], kind: str, tmp_path: Path
) -> None:
    """To another repository, where it has the same digest."""
    source, target = f"{server.address}/readers:{kind}", f"{server.address}/copied:{kind}"
    flags = ("--all", "--src-tls-verify=false", "--dest-tls-verify=false")
    run("skopeo", "--insecure-policy", "copy", *flags, f"docker://{source}", f"docker://{target}")
    client = RegistryClient()
    assert client.manifest_digest(RegistryReference.parse(target)) == indexes[kind].digest


@pytest.mark.podman
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_podman_pulls_its_platform_of_an_index(
    server: Server, indexes: dict[str, ImageIndex], kind: str
) -> None:
    """Into a storage of its own."""
    place = f"{server.address}/readers:{kind}"
    root = Path(tempfile.mkdtemp(prefix="ik-", dir="/tmp"))  # podman wants a short path
    store = ["--root", f"{root}/root", "--runroot", f"{root}/run", "--storage-driver=vfs"]
    try:
        run("podman", *store, "pull", "--quiet", "--tls-verify=false", place)
        shown = run(
            "podman", *store, "image", "inspect", "--format={{.Os}}/{{.Architecture}}", place
        )
        assert shown == str(HERE)
        folder = run("podman", *store, "image", "mount", place)
        assert Path(folder, "etc/platform").read_bytes() == str(HERE).encode()
    finally:
        subprocess.run(
            ["podman", *store, "system", "reset", "--force"], capture_output=True, check=False
        )
        shutil.rmtree(root, ignore_errors=True)
    assert indexes[kind].digest
