# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagekit.errors import BuildError, IntegrityError
from imagekit.oci import digest as digests
from imagekit.oci import media_types
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Descriptor, Platform
from imagekit.oci.document import encode
from imagekit.oci.image import Image
from imagekit.oci.layout import read_layout, write_layout
from imagekit.oci.validate import validate
from tests.fakes.images import file_layer, image_of


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return image_of(file_layer(tmp_path, {"etc/one": b"1"}), file_layer(tmp_path, {"two": b"2"}))


@pytest.fixture
def layout(tmp_path: Path, image: Image) -> Path:
    write_layout(image, tmp_path / "layout", "first")
    return tmp_path / "layout"


def other_image(tmp_path: Path, text: bytes = b"other") -> Image:
    return image_of(file_layer(tmp_path, {"other": text}))


def index_of(layout: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((layout / "index.json").read_bytes())
    return found


def put(layout: Path, data: bytes) -> str:
    digest = digests.of_bytes(data)
    (layout / "blobs/sha256" / digest.removeprefix("sha256:")).write_bytes(data)
    return digest


def put_index(layout: Path, index: object) -> None:
    (layout / "index.json").write_text(json.dumps(index))


def test_what_was_written_is_read(layout: Path, image: Image) -> None:
    """An image comes back as it was, and is valid."""
    back = read_layout(layout, "first")
    validate(back)
    assert back.digest == image.digest
    assert [layer.diff_id for layer in back.layers] == [layer.diff_id for layer in image.layers]


def test_the_only_image_needs_no_name(layout: Path, image: Image) -> None:
    """Without a name, and by its digest, the only image is found."""
    assert read_layout(layout).digest == image.digest
    assert read_layout(layout, image.digest).digest == image.digest


def test_other_images_are_kept_and_the_same_name_is_replaced(
    layout: Path, image: Image, tmp_path: Path
) -> None:
    """A layout holds many images; the last one written under a name has it."""
    write_layout(other_image(tmp_path, b"a"), layout, "second")
    last = other_image(tmp_path, b"b")
    write_layout(last, layout, "second")
    assert read_layout(layout, "first").digest == image.digest
    assert read_layout(layout, "second").digest == last.digest
    assert len(index_of(layout)["manifests"]) == 2


def test_which_image_is_asked_back(layout: Path, tmp_path: Path) -> None:
    """Where there are several, no name is an error that lists them."""
    write_layout(other_image(tmp_path), layout, "second")
    with pytest.raises(BuildError, match="more than one image") as caught:
        read_layout(layout)
    assert caught.value.hint == "name one of: first, second"
    with pytest.raises(BuildError, match="no image 'third'"):
        read_layout(layout, "third")


def test_the_same_image_gives_the_same_layout(layout: Path, image: Image, tmp_path: Path) -> None:
    """Every file of a layout has the same bytes each time."""
    write_layout(image, tmp_path / "again", "first")

    def content(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    assert content(tmp_path / "again") == content(layout)


def test_cached_layers_are_hard_links(layout: Path, image: Image) -> None:
    """A layer from the cache on the same file system takes no space twice."""
    blob = layout / "blobs/sha256" / image.layers[0].digest.removeprefix("sha256:")
    assert blob.stat().st_nlink == 2


def test_a_platform_is_chosen_through_a_nested_index(layout: Path, tmp_path: Path) -> None:
    """An index in an index is followed to the image for the platform; attestations are passed."""
    layer = file_layer(tmp_path, {"arm": b"x"})
    arm = assemble(None, [Addition(layer, "arm")], Settings(), platform=Platform("linux", "arm64"))
    amd = other_image(tmp_path)
    for each in (arm, amd):
        write_layout(each, layout, each.digest)
    attestation = Descriptor(
        media_types.MANIFEST, amd.digest, 1, {"vnd.docker.reference.type": "attestation-manifest"}
    )
    inner = encode(
        {
            "schemaVersion": 2,
            "manifests": [item.to_json() for item in (arm.descriptor, attestation, amd.descriptor)],
        }
    )
    outer = Descriptor(media_types.DOCKER_INDEX, put(layout, inner), len(inner))
    put_index(layout, {"schemaVersion": 2, "manifests": [outer.to_json()]})
    assert read_layout(layout, platform=Platform("linux", "arm64")).digest == arm.digest
    assert read_layout(layout, platform=Platform("linux", "amd64")).digest == amd.digest
    with pytest.raises(BuildError, match="s390x"):
        read_layout(layout, platform=Platform("linux", "s390x"))


def test_an_image_for_another_platform_is_refused(layout: Path) -> None:
    """The only image is still the wrong one if a platform was asked for that it is not for."""
    with pytest.raises(BuildError, match="its image is for linux/amd64, not linux/arm64"):
        read_layout(layout, platform=Platform("linux", "arm64"))


def _size_lies(layout: Path) -> None:
    index = index_of(layout)
    index["manifests"][0]["size"] += 1
    put_index(layout, index)


def _huge_size(layout: Path) -> None:
    index = index_of(layout)
    index["manifests"][0]["size"] = 1 << 60
    put_index(layout, index)


def _traversal(layout: Path) -> None:
    index = index_of(layout)
    index["manifests"][0]["digest"] = "sha256:../../../../etc/passwd"
    put_index(layout, index)


def _other_bytes(layout: Path) -> None:
    blob = layout / "blobs/sha256" / index_of(layout)["manifests"][0]["digest"][7:]
    blob.write_bytes(blob.read_bytes().replace(b"config", b"CONFIG"))


def _missing_layers(layout: Path) -> None:
    manifest = read_layout(layout).manifest
    for layer in manifest.objects("layers"):
        (layout / "blobs/sha256" / layer.text("digest")[7:]).unlink()


def _no_descriptor(layout: Path) -> None:
    put_index(layout, {"schemaVersion": 2, "manifests": [{"mediaType": media_types.MANIFEST}]})


def _folder_for_a_blob(layout: Path) -> None:
    blob = layout / "blobs/sha256" / index_of(layout)["manifests"][0]["digest"][7:]
    blob.unlink()
    blob.mkdir()


def _fifo_for_a_blob(layout: Path) -> None:
    blob = layout / "blobs/sha256" / index_of(layout)["manifests"][0]["digest"][7:]
    blob.unlink()
    os.mkfifo(blob)


def _deep(layout: Path) -> None:
    descriptor = index_of(layout)["manifests"][0]
    for _ in range(10):
        data = encode({"schemaVersion": 2, "manifests": [descriptor]})
        descriptor = Descriptor(media_types.INDEX, put(layout, data), len(data)).to_json()
    put_index(layout, {"schemaVersion": 2, "manifests": [descriptor]})


def _fewer_diff_ids(layout: Path) -> None:
    image = read_layout(layout)
    config = dict(image.config.members)
    config["rootfs"] = {"type": "layers", "diff_ids": []}
    manifest = dict(image.manifest.members)
    config_bytes = encode(config)
    manifest["config"] = Descriptor(
        media_types.CONFIG, put(layout, config_bytes), len(config_bytes)
    ).to_json()
    data = encode(manifest)
    descriptor = Descriptor(media_types.MANIFEST, put(layout, data), len(data))
    put_index(layout, {"schemaVersion": 2, "manifests": [descriptor.to_json()]})


@pytest.mark.parametrize(
    "spoil",
    [
        _size_lies,
        _huge_size,
        _traversal,
        _other_bytes,
        _missing_layers,
        _no_descriptor,
        _folder_for_a_blob,
        _fifo_for_a_blob,
        _deep,
        _fewer_diff_ids,
    ],
)
def test_a_hostile_layout_is_one_clear_error(layout: Path, spoil: Callable[[Path], None]) -> None:
    """Whatever is wrong in a layout, reading it raises IntegrityError."""
    spoil(layout)
    with pytest.raises(IntegrityError):
        read_layout(layout)


def test_a_changed_layer_is_found_when_it_is_read(layout: Path) -> None:
    """Bytes of a foreign layer are believed only after their digest was right."""
    back = read_layout(layout)
    blob = layout / "blobs/sha256" / back.layers[0].digest[7:]
    size_bytes = blob.stat().st_size
    blob.unlink()
    blob.write_bytes(b"x" * size_bytes)
    with back.layers[0].open() as stream, pytest.raises(IntegrityError, match="another digest"):
        stream.read()
    with pytest.raises(IntegrityError, match="another digest"):
        write_layout(back, layout.parent / "copy")
    assert not (layout.parent / "copy/index.json").exists()


def test_a_folder_with_other_things_is_not_written_to(tmp_path: Path, image: Image) -> None:
    """A typing mistake in a path fills no home folder with blobs."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter").write_text("dear")
    with pytest.raises(BuildError, match="not empty"):
        write_layout(image, tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letter"]


def test_what_a_killed_writer_left_is_removed(layout: Path, image: Image) -> None:
    """Temporary files of a dead process go at the next write."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    leftover = layout / f"blobs/sha256/.abc.{dead.pid}.00.tmp"
    leftover.write_bytes(b"half")
    write_layout(image, layout, "first")
    assert not leftover.exists()


def test_two_writers_at_once_both_land(tmp_path: Path) -> None:
    """Images that several processes write at the same time are all there afterwards."""
    program = (
        "import sys, pathlib, tempfile\n"
        "from tests.fakes.images import file_layer, image_of\n"
        "from imagekit.oci.layout import write_layout\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    for at in range(5):\n"
        "        name = f'{sys.argv[2]}-{at}'\n"
        "        layer = file_layer(pathlib.Path(folder), {'name': name.encode()})\n"
        "        write_layout(image_of(layer), pathlib.Path(sys.argv[1]), name)\n"
    )
    layout = tmp_path / "layout"
    command = [sys.executable, "-c", program, str(layout)]
    writers = [
        subprocess.Popen([*command, name], cwd=Path(__file__).parents[4]) for name in ("a", "b")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    for name in ("a", "b"):
        for at in range(5):
            validate(read_layout(layout, f"{name}-{at}"))
