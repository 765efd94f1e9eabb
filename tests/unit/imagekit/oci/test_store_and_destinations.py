# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.errors import BuildError, IntegrityError
from imagekit.oci.assemble import Settings, assemble
from imagekit.oci.destinations import Destination, read_image, write_image
from imagekit.oci.image import Image
from imagekit.oci.inspect import describe, render
from imagekit.oci.reference import Reference
from imagekit.oci.store import Store
from imagekit.oci.validate import validate
from tests.fakes.images import file_layer, image_of

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def image(tmp_path: Path) -> Image:
    settings = Settings(
        user="task",
        entrypoint=["/opt/venv/bin/python", "-I"],
        environment={"A": "1"},
        labels={"colour": "red\x1b[31m"},
    )
    return image_of(file_layer(tmp_path, {"etc/one": b"1"}), settings=settings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("iris", Reference("iris", "latest")),
        ("iris:v1", Reference("iris", "v1")),
        ("host.example:5000/team/iris", Reference("host.example:5000/team/iris", "latest")),
        ("host.example:5000/iris:v1", Reference("host.example:5000/iris", "v1")),
        (f"iris@{DIGEST}", Reference("iris", "", DIGEST)),
        (f"iris:v1@{DIGEST}", Reference("iris", "v1", DIGEST)),
        (DIGEST, Reference("", "", DIGEST)),
    ],
)
def test_references_are_read(text: str, expected: Reference) -> None:
    """Every usual way to name an image."""
    assert Reference.parse(text) == expected


@pytest.mark.parametrize("text", ["", "Iris", "iris:", "iris:a b", "../x", "a//b", "-a", "iris@"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    """Anything else is an error that shows the form."""
    with pytest.raises(BuildError, match="not the name of an image"):
        Reference.parse(text)


def test_a_digest_in_a_reference_is_checked() -> None:
    """No other text gets to be a path in the store."""
    with pytest.raises(IntegrityError):
        Reference.parse("iris@sha256:../../x")


def test_the_store_finds_by_name_and_digest(image: Image, tmp_path: Path) -> None:
    """What was added is found by each of its names, and by what `add` returned."""
    store = Store(tmp_path / "store")
    added = store.add(image, "team/iris:v1")
    assert added == f"team/iris:v1@{image.digest}"
    for name in (added, "team/iris:v1", image.digest, f"team/iris@{image.digest}"):
        found = store.find(name)
        validate(found)
        assert found.digest == image.digest
    assert [(stored.name, stored.digest) for stored in store.list()] == [
        ("team/iris:v1", image.digest)
    ]


def test_one_image_can_have_two_names(image: Image, tmp_path: Path) -> None:
    """A second name does not take away the first."""
    store = Store(tmp_path / "store")
    store.add(image, "a")
    store.add(image, "b")
    assert store.find("a").digest == store.find("b").digest


def test_what_is_not_in_the_store_is_said(image: Image, tmp_path: Path) -> None:
    """The error lists what there is."""
    store = Store(tmp_path / "store")
    with pytest.raises(BuildError, match="no image 'iris'") as empty:
        store.find("iris")
    assert empty.value.hint == "`imagekit build` puts one there"
    store.add(image, "iris:v1")
    for name in ("iris:v2", f"iris@{DIGEST}", f"other@{image.digest}"):
        with pytest.raises(BuildError) as caught:
            store.find(name)
        assert caught.value.hint == "it has: iris:v1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oci:out", Destination("oci", Path("here/out"))),
        ("oci:/out:host:5000/x:y", Destination("oci", Path("/out"), "host:5000/x:y")),
        ("oci-archive:a.tar:v1", Destination("oci-archive", Path("here/a.tar"), "v1")),
        ("docker-archive:a.tar", Destination("docker-archive", Path("here/a.tar"))),
        ("docker-archive:a.tar:x", Destination("docker-archive", Path("here/a.tar"), "x:latest")),
        ("docker-archive:a.tar:x:y", Destination("docker-archive", Path("here/a.tar"), "x:y")),
    ],
)
def test_destinations_are_read(text: str, expected: Destination) -> None:
    """As containers-transports(5) writes them."""
    assert Destination.parse(text, Path("here")) == expected


@pytest.mark.parametrize("text", ["", "oci", "oci:", "dir:x", "/tmp/x", "oci-archive::v1"])
def test_what_is_no_destination_is_refused(text: str) -> None:
    """The error shows the forms."""
    with pytest.raises(BuildError, match="not a place for an image") as caught:
        Destination.parse(text)
    assert "oci:DIR[:REF]" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["oci:out", "oci:out:v1", "oci-archive:a.tar", "oci-archive:a:v1"])
def test_what_is_written_is_read_by_the_same_words(image: Image, tmp_path: Path, text: str) -> None:
    """A destination is a source too."""
    place = Destination.parse(text, tmp_path / "deep" / "er")
    write_image(image, place)
    back = read_image(place)
    validate(back)
    assert back.digest == image.digest


def test_an_image_goes_from_place_to_place(image: Image, tmp_path: Path) -> None:
    """Read from an archive and written to a layout, it is the same image."""
    archive = Destination.parse("oci-archive:a.tar", tmp_path)
    layout = Destination.parse("oci:out", tmp_path)
    write_image(image, archive)
    write_image(read_image(archive), layout)
    assert read_image(layout).digest == image.digest


def test_a_file_system_error_is_one_of_ours(image: Image, tmp_path: Path) -> None:
    """No traceback where a path can't be written or read."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BuildError, match="writing oci-archive:"):
        write_image(image, Destination.parse("oci-archive:file/a.tar", tmp_path))
    with pytest.raises(BuildError, match="reading oci-archive:"):
        read_image(Destination.parse("oci-archive:none.tar", tmp_path))
    with pytest.raises(BuildError, match="not an OCI layout"):
        read_image(Destination.parse("oci:none", tmp_path))
    with pytest.raises(BuildError, match="a file"):
        write_image(image, Destination.parse("oci:file", tmp_path))


def test_a_description_has_what_containers_start_with(image: Image) -> None:
    """Plain data for `--output json`."""
    found = describe(image)
    assert found["digest"] == image.digest
    assert found["user"] == "task"
    assert found["entrypoint"] == ["/opt/venv/bin/python", "-I"]
    assert found["env"] == {"A": "1"}
    assert found["layers"] == [
        {
            "digest": image.layers[0].digest,
            "diff_id": image.layers[0].diff_id,
            "size_bytes": image.layers[0].size_bytes,
            "created_by": "test layer 0",
        }
    ]


def test_a_rendering_has_no_control_characters(image: Image) -> None:
    """A hostile label can't drive the terminal."""
    text = render(describe(image))
    assert "\x1b" not in text
    assert f"digest        {image.digest}\n" in text
    assert '["/opt/venv/bin/python", "-I"]' in text
    assert "test layer 0" in text


def test_a_name_without_a_tag_means_what_came_last(image: Image, tmp_path: Path) -> None:
    """Tags of builds are hashes, which nobody types; `latest` itself counts first."""
    store = Store(tmp_path / "store")
    newer = assemble(image, [], Settings(labels={"newer": "yes"}))
    store.add(image, "team/iris:0f")
    store.add(newer, "team/iris:0a")
    assert store.find("team/iris").digest == newer.digest
    store.add(image, "team/iris:latest")
    assert store.find("team/iris").digest == image.digest
