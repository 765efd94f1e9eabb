# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagekit.errors import IntegrityError
from imagekit.oci import media_types
from imagekit.oci.assemble import CREATED, Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.document import Document, encode
from imagekit.oci.image import Image
from imagekit.oci.validate import validate
from tests.fakes.images import file_layer, image_of


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return image_of(
        file_layer(tmp_path, {"etc/one": b"1"}),
        file_layer(tmp_path, {"etc/two": b"2"}),
        settings=Settings(
            user="task", environment={"B": "2", "A": "1"}, entrypoint=["run"], command=["all"]
        ),
    )


def test_an_assembled_image_is_valid_and_in_order(image: Image) -> None:
    """An assembled image is internally true, and has its layers in the order given."""
    validate(image)
    history = image.config.objects("history")
    assert [entry.text("created_by") for entry in history] == ["test layer 0", "test layer 1"]
    assert image.config.text("created") == CREATED
    assert image.platform == Platform("linux", "amd64")


def test_the_same_parts_give_the_same_bytes(image: Image) -> None:
    """Neither the order of a mapping nor anything else outside gets into the bytes."""
    additions = [Addition(layer, f"test layer {at}") for at, layer in enumerate(image.layers)]
    settings = Settings(
        user="task", environment={"A": "1", "B": "2"}, entrypoint=("run",), command=("all",)
    )
    again = assemble(None, additions, settings, platform=Platform())
    assert (again.digest, again.config_bytes) == (image.digest, image.config_bytes)


def test_a_base_is_kept_below(image: Image, tmp_path: Path) -> None:
    """Layers, history and settings of the base stay where nothing new is said."""
    top = file_layer(tmp_path, {"top": b"3"})
    settings = Settings(environment={"A": "changed", "C": "3"}, workdir="/w", labels={"x": "y"})
    above = assemble(image, [Addition(top, "top")], settings, annotations={"k": "v"})
    validate(above)
    assert above.layers == (*image.layers, top)
    container = above.config.object("config")
    assert container.texts("Env") == ("A=changed", "B=2", "C=3")
    assert (container.text("User"), container.texts("Cmd")) == ("task", ("all",))
    assert container.text("WorkingDir") == "/w"
    assert above.annotations == {"k": "v"}
    assert len(above.config.objects("history")) == 3


def test_a_new_entrypoint_drops_the_command_of_the_base(image: Image) -> None:
    """The base's CMD was meant for the base's ENTRYPOINT."""
    above = assemble(image, [], Settings(entrypoint=["other"]))
    assert above.config.object("config").texts("Cmd") == ()


def test_a_history_that_counts_other_layers_is_made_new(image: Image) -> None:
    """A base whose history does not account for its layers gets one that does."""
    config = dict(image.config.members)
    config["history"] = [{"created_by": "only one"}]
    broken = Image(image.manifest_bytes, encode(config), image.layers)
    above = assemble(broken, [], Settings())
    validate(above)
    assert len(above.config.objects("history")) == len(image.layers)


def test_docker_media_types_become_oci_ones(image: Image) -> None:
    """A base that Docker wrote gives an OCI manifest all the same."""
    manifest = image.manifest_bytes.replace(
        b"application/vnd.oci.image.layer.v1.tar+gzip",
        b"application/vnd.docker.image.rootfs.diff.tar.gzip",
    )
    docker = Image(manifest, image.config_bytes, image.layers, media_types.DOCKER_MANIFEST)
    assert (
        assemble(docker, [], Settings()).manifest.objects("layers")[0].text("mediaType")
        == "application/vnd.oci.image.layer.v1.tar+gzip"
    )


def test_validate_reports_every_problem_at_once(image: Image) -> None:
    """All that does not fit together is in one error."""
    config = json.loads(image.config_bytes)
    config["history"] = config["history"][:1]
    config["rootfs"]["diff_ids"].reverse()
    with pytest.raises(IntegrityError) as caught:
        validate(Image(image.manifest_bytes, encode(config), image.layers))
    assert "another config" in caught.value.message
    assert "other diff_ids" in caught.value.message
    assert "1 entries of history for 2 layers" in caught.value.message


def test_validate_finds_a_changed_layer(image: Image, tmp_path: Path) -> None:
    """One changed byte in a layer is found."""
    path = tmp_path / image.layers[0].digest.removeprefix("sha256:")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=image.layers[0].digest):
        validate(image)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"a":' + b"1" * 5000 + b"}x",
        b'{"a":"' + b"x" * (4 << 20) + b'"}',
    ],
    ids=["empty", "list", "cut", "not-utf8", "deep", "trailing", "huge"],
)
def test_a_hostile_document_is_one_error(data: bytes) -> None:
    """Whatever is not a JSON object of a sane size raises IntegrityError."""
    with pytest.raises(IntegrityError, match=r"^it"):
        Document.parse(data, "it")


@pytest.mark.parametrize(
    "members",
    [{"size": "1"}, {"size": True}, {"size": -1}, {"size": 1.5}, {"size": None}, {}],
)
def test_a_count_is_a_whole_number(members: dict[str, object]) -> None:
    """Nothing but a whole number from zero on is a size."""
    with pytest.raises(IntegrityError, match="'size' is not a count"):
        Document("it", members).count("size")
