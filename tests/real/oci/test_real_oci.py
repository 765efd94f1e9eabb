# SPDX-License-Identifier: Apache-2.0
"""What other programs make of our images, and we of theirs."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from imagekit.oci.assemble import Settings
from imagekit.oci.destinations import Destination, read_image, write_image
from imagekit.oci.image import Image
from imagekit.oci.unpack import unpack
from imagekit.oci.validate import validate
from tests.fakes.images import host_image

PLACES = ["oci:out:v1", "oci:out", "oci-archive:image.tar:v1", "oci-archive:image.tar"]


@pytest.fixture
def image(tmp_path: Path) -> Image:
    (tmp_path / "layers").mkdir()
    settings = Settings(
        user="task",
        workdir="/root",
        environment={"GREETING": "hello"},
        entrypoint=["/bin/sh", "-c"],
        labels={"colour": "red"},
    )
    return host_image(tmp_path / "layers", settings)


def skopeo(*arguments: str, folder: Path) -> str:
    command = ["skopeo", "--insecure-policy", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inspected(place: str, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(skopeo("inspect", place, folder=folder))
    return found


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything about every path that a layer can say, and the bytes of small files."""
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        facts = path.lstat()
        kind = stat.S_IFMT(facts.st_mode)
        content: object = None
        if kind == stat.S_IFLNK:
            content = os.readlink(path)
        elif kind == stat.S_IFREG:
            content = path.read_bytes()
        owner = (facts.st_uid, facts.st_gid)
        mtime = None if kind == stat.S_IFLNK else int(facts.st_mtime)
        found[str(path.relative_to(root))] = (facts.st_mode, owner, mtime, content)
    return found


@pytest.mark.skopeo
@pytest.mark.parametrize("place", PLACES)
def test_skopeo_reads_what_we_write(image: Image, tmp_path: Path, place: str) -> None:
    """skopeo finds the image by its name, with our digest, layers and settings."""
    write_image(image, Destination.parse(place, tmp_path))
    found = inspected(place, tmp_path)
    assert found["Digest"] == image.digest
    assert found["Layers"] == [layer.digest for layer in image.layers]
    assert found["Labels"] == {"colour": "red"}
    assert found["Env"] == ["GREETING=hello"]


@pytest.mark.skopeo
def test_skopeo_reads_our_docker_archive(image: Image, tmp_path: Path) -> None:
    """The archive has the image ID, and copies to a layout with the same config."""
    place = "docker-archive:image.tar:team/x:v1"
    write_image(image, Destination.parse(place, tmp_path))
    skopeo("copy", place, "oci:copied:v1", folder=tmp_path)
    copied = read_image(Destination.parse("oci:copied:v1", tmp_path))
    validate(copied)
    assert [layer.diff_id for layer in copied.layers] == [layer.diff_id for layer in image.layers]
    assert copied.config.object("config").members == image.config.object("config").members


@pytest.mark.skopeo
@pytest.mark.parametrize("place", PLACES)
def test_we_read_what_skopeo_writes(image: Image, tmp_path: Path, place: str) -> None:
    """A copy by skopeo is the same image to us."""
    write_image(image, Destination.parse("oci:ours:v1", tmp_path))
    skopeo("copy", "oci:ours:v1", place, folder=tmp_path)
    copied = read_image(Destination.parse(place, tmp_path))
    validate(copied)
    assert copied.digest == image.digest


@pytest.mark.skopeo
def test_uncompressed_and_docker_layers_are_read(image: Image, tmp_path: Path) -> None:
    """Layers without compression, and Docker's own manifests, are images to us as well."""
    write_image(image, Destination.parse("docker-archive:image.tar:x:v1", tmp_path))
    copy = ("copy", "--format", "v2s2", "docker-archive:image.tar:x:v1", "dir:plain")
    skopeo(*copy, folder=tmp_path)
    layout = tmp_path / "docker"
    (layout / "blobs/sha256").mkdir(parents=True)
    manifest = (tmp_path / "plain/manifest.json").read_bytes()

    for path in (tmp_path / "plain").iterdir():
        name = hashlib.sha256(path.read_bytes()).hexdigest()
        (layout / "blobs/sha256" / name).write_bytes(path.read_bytes())
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    descriptor = {
        "mediaType": json.loads(manifest)["mediaType"],
        "digest": "sha256:" + hashlib.sha256(manifest).hexdigest(),
        "size": len(manifest),
    }
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    found = read_image(Destination.parse("oci:docker", tmp_path))
    validate(found)
    assert "docker" in found.media_type
    assert [layer.diff_id for layer in found.layers] == [layer.diff_id for layer in image.layers]


@pytest.mark.umoci
@pytest.mark.root
def test_umoci_unpacks_the_same_tree(image: Image, tmp_path: Path) -> None:
    """Names, modes, owners, times, links and bytes are those that umoci gets."""
    write_image(image, Destination.parse("oci:out:v1", tmp_path))
    command = ["umoci", "unpack", "--image", "out:v1", "bundle"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "root").mkdir()
    unpack(image, tmp_path / "root")
    assert tree(tmp_path / "root") == tree(tmp_path / "bundle/rootfs")


@pytest.mark.umoci
@pytest.mark.root
def test_what_umoci_adds_is_read(image: Image, tmp_path: Path) -> None:
    """A layer that umoci wrote over ours, whiteouts included, unpacks to what umoci has."""
    write_image(image, Destination.parse("oci:out:v1", tmp_path))

    def umoci(*arguments: str) -> None:
        subprocess.run(["umoci", *arguments], cwd=tmp_path, check=True, capture_output=True)

    umoci("unpack", "--image", "out:v1", "bundle")
    rootfs = tmp_path / "bundle/rootfs"
    (rootfs / "root/notes").unlink()
    (rootfs / "new").mkdir()
    (rootfs / "new/file").write_text("new")
    umoci("repack", "--image", "out:v2", "bundle")
    umoci("unpack", "--image", "out:v2", "again")
    repacked = read_image(Destination.parse("oci:out:v2", tmp_path))
    (tmp_path / "root").mkdir()
    unpack(repacked, tmp_path / "root")
    assert tree(tmp_path / "root") == tree(tmp_path / "again/rootfs")
    assert not (tmp_path / "root/root/notes").exists()


@pytest.mark.docker
def test_docker_loads_the_archive(image: Image, tmp_path: Path) -> None:
    """`docker load` keeps the image under its tag, with our config as its ID."""
    write_image(image, Destination.parse("docker-archive:image.tar:imagekit-test:v1", tmp_path))
    load = ["docker", "load", "--input", "image.tar"]
    subprocess.run(load, cwd=tmp_path, check=True, capture_output=True)
    try:
        inspect = ["docker", "image", "inspect", "--format", "{{.Id}}", "imagekit-test:v1"]
        found = subprocess.run(inspect, check=True, capture_output=True, text=True)
        assert found.stdout.strip() == image.config_digest
        run = ["docker", "run", "--rm", "imagekit-test:v1", "echo $GREETING; exit 3"]
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (3, "hello\n")
    finally:
        subprocess.run(["docker", "rmi", "imagekit-test:v1"], check=True, capture_output=True)


@pytest.mark.podman
@pytest.mark.parametrize("place", ["docker-archive:image.tar:localhost/x:v1", "oci-archive:a.tar"])
def test_podman_loads_the_archives(image: Image, tmp_path: Path, place: str) -> None:
    """`podman load` reads both kinds of archives."""
    destination = Destination.parse(place, tmp_path)
    write_image(image, destination)
    load = ["podman", "load", "--input", str(destination.path)]
    done = subprocess.run(load, check=True, capture_output=True, text=True)
    name = done.stdout.strip().rpartition(" ")[2]
    try:
        inspect = ["podman", "image", "inspect", "--format", "{{.Id}}", name]
        found = subprocess.run(inspect, check=True, capture_output=True, text=True)
        assert found.stdout.strip() == image.config_digest.removeprefix("sha256:")
    finally:
        subprocess.run(["podman", "rmi", name], check=True, capture_output=True)
