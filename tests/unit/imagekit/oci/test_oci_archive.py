# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import io
import json
import resource
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from imagekit.errors import BuildError, IntegrityError
from imagekit.oci.archive import read_oci_archive, write_docker_archive, write_oci_archive
from imagekit.oci.destinations import Destination, write_image
from imagekit.oci.image import Image
from imagekit.oci.layout import read_layout
from imagekit.oci.tarstream import header
from imagekit.oci.validate import validate
from tests.fakes.images import file_layer, image_of


@pytest.fixture
def image(tmp_path: Path) -> Image:
    layer = file_layer(tmp_path, {"etc/one": b"1" * 5000})
    return image_of(layer, file_layer(tmp_path, {"two": b"2"}), layer)


def test_an_oci_archive_comes_back(image: Image, tmp_path: Path) -> None:
    """What was written is read where it lies, valid and with its name."""
    write_oci_archive(image, tmp_path / "image.tar", "v1")
    back = read_oci_archive(tmp_path / "image.tar", "v1")
    validate(back)
    assert back.digest == image.digest


def test_an_oci_archive_is_a_layout_in_a_tar(image: Image, tmp_path: Path) -> None:
    """Unpacked by somebody else it is a layout."""
    write_oci_archive(image, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        archive.extractall(tmp_path / "layout", filter="data")
    validate(read_layout(tmp_path / "layout"))


def test_archives_have_the_same_bytes_each_time(image: Image, tmp_path: Path) -> None:
    """Nothing but the image and its name gets into an archive."""
    for name in ("a", "b"):
        write_oci_archive(image, tmp_path / f"{name}.oci", "v1")
        write_docker_archive(image, tmp_path / f"{name}.docker", ["x:y"])
    assert (tmp_path / "a.oci").read_bytes() == (tmp_path / "b.oci").read_bytes()
    assert (tmp_path / "a.docker").read_bytes() == (tmp_path / "b.docker").read_bytes()


def test_a_docker_archive_lists_what_it_holds(image: Image, tmp_path: Path) -> None:
    """manifest.json names the config by the image ID, each layer in order, and the tags."""
    write_docker_archive(image, tmp_path / "image.tar", ["name:tag"])
    with tarfile.open(tmp_path / "image.tar") as archive:
        names = archive.getnames()
        listing = archive.extractfile("manifest.json")
        assert listing is not None
        (entry,) = json.loads(listing.read())
    assert entry["Config"] == image.config_digest.removeprefix("sha256:") + ".json"
    assert entry["RepoTags"] == ["name:tag"]
    assert len(entry["Layers"]) == 3
    assert set(entry["Layers"]) | {entry["Config"], "manifest.json"} == set(names)
    assert len(names) == len(set(names))


def test_a_failing_layer_leaves_no_archive(image: Image, tmp_path: Path) -> None:
    """Where a layer is gone or short, what was there before is still there."""
    target = tmp_path / "image.tar"
    target.write_bytes(b"before")
    path = tmp_path / image.layers[1].digest.removeprefix("sha256:")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError):
        write_oci_archive(image, target)
    assert target.read_bytes() == b"before"
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_cut_archive_is_refused(image: Image, tmp_path: Path) -> None:
    """An archive without its end raises IntegrityError when it is opened."""
    write_oci_archive(image, tmp_path / "image.tar")
    data = (tmp_path / "image.tar").read_bytes()
    (tmp_path / "image.tar").write_bytes(data[: len(data) - 2000])
    with pytest.raises(IntegrityError):
        read_oci_archive(tmp_path / "image.tar")


def test_what_is_no_archive_is_said(image: Image, tmp_path: Path) -> None:
    """Another file, another tar and a compressed archive are told apart."""
    path = tmp_path / "image.tar"
    path.write_bytes(b"hello" * 1000)
    with pytest.raises(BuildError, match="not a tar file"):
        read_oci_archive(path)
    write_docker_archive(image, path)
    with pytest.raises(BuildError, match="not an OCI archive"):
        read_oci_archive(path)
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(BuildError) as caught:
        read_oci_archive(path)
    assert caught.value.hint == "it is compressed: decompress it first"


def test_a_header_that_announces_gigabytes_is_refused(tmp_path: Path) -> None:
    """An extended header of 8 GB is not read into memory."""
    bomb = tarfile.TarInfo("x")
    bomb.type = tarfile.XHDTYPE
    bomb.size = 8 << 30
    with (tmp_path / "image.tar").open("wb") as stream:
        stream.write(bomb.tobuf(tarfile.GNU_FORMAT))
        stream.truncate(9 << 30)
    with pytest.raises(IntegrityError, match="absurd"):
        read_oci_archive(tmp_path / "image.tar")


@pytest.mark.parametrize("size_bytes", [0, 1, 8**11 - 1, 8**11, 1 << 50])
def test_headers_are_read_by_others(size_bytes: int) -> None:
    """Any size comes back from the standard library's reader, above 8 GiB too."""
    member = tarfile.TarInfo.frombuf(header("a/b", size_bytes), "utf-8", "strict")
    assert (member.name, member.size, member.mode) == ("a/b", size_bytes, 0o644)
    assert member.isreg()


def test_writing_an_archive_keeps_memory_flat(tmp_path: Path) -> None:
    """A layer of 200 MB is never held whole."""
    program = (
        "import pathlib, re, sys\n"
        "from imagekit.oci.layer import FileLayer\n"
        "from imagekit.oci.archive import write_docker_archive, write_oci_archive\n"
        "from tests.fakes.images import image_of\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "with (folder / 'big').open('wb') as stream: stream.truncate(200 << 20)\n"
        "name = 'sha256:' + '0' * 64\n"
        "image = image_of(FileLayer(name, name, 200 << 20, folder / 'big'))\n"
        "write_oci_archive(image, folder / 'o.tar')\n"
        "write_docker_archive(image, folder / 'd.tar')\n"
        # Not ru_maxrss: that begins with what the process that started this one had.
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[4], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 120_000


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(image: Image, tmp_path: Path) -> None:
    """Where the archive does not fit, the error says so, and no half file stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        with pytest.raises(BuildError, match=r"writing oci-archive:.*File too large"):
            write_image(image, Destination("oci-archive", tmp_path / "image.tar"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.glob("*image.tar*"))
    assert not list(tmp_path.glob(".*"))


def test_reading_an_archive_does_not_depend_on_how_much_is_read_at_once(
    image: Image, tmp_path: Path
) -> None:
    """A layer's bytes are the same by one read and by many."""
    write_oci_archive(image, tmp_path / "image.tar")
    layer = read_oci_archive(tmp_path / "image.tar").layers[0]
    with layer.open() as stream:
        whole = stream.read()
    parts = io.BytesIO()
    with layer.open() as stream:
        while piece := stream.read(7):
            parts.write(piece)
    assert parts.getvalue() == whole
