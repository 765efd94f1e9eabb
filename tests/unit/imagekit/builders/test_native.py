# SPDX-License-Identifier: Apache-2.0
"""The native builder on a base of one file and wheels made here: no network, no interpreter."""

from __future__ import annotations

import dataclasses
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from imagekit.builders.forecast import forecast
from imagekit.builders.layerings import LOCK_ANNOTATION
from imagekit.builders.model import Built
from imagekit.builders.tagging import image_tag
from imagekit.errors import BuildError
from imagekit.oci.destinations import Destination, read_all, read_image
from imagekit.oci.index import ImageIndex
from imagekit.oci.store import Store
from imagekit.oci.validate import validate
from imagekit.progress import Silent
from imagekit.spec.model import ImageSpec
from tests.unit.imagekit.builders.project import OTHER, PLATFORM, Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def files(built: Built) -> set[str]:
    found: set[str] = set()
    for layer in built.image.layers:
        with layer.open() as stream, tarfile.open(fileobj=stream, mode="r:gz") as archive:
            found |= {member.name for member in archive if not member.isdir()}
    return found


def test_an_image_holds_base_packages_runtime_and_source(project: Project) -> None:
    """One build puts every part at its place, in a valid image that names its lock."""
    built = project.build(project.wheel("alpha"))
    found = files(built)
    site = "opt/venv/lib/python3.11/site-packages"

    validate(built.image)
    assert {
        "etc/base",
        "etc/passwd",
        "opt/venv/bin/python",
        "opt/venv/bin/pyflyte-execute",
        f"{site}/alpha/__init__.py",
        f"{site}/entrypoint/__main__.py",
        "root/task.py",
    } <= found
    assert LOCK_ANNOTATION in built.image.annotations
    config = built.image.config.object("config")
    assert config.text("User") == "1000:0"
    assert config.text("WorkingDir") == "/root"
    assert config.texts("Entrypoint")[0] == "/opt/venv/bin/python"


def test_the_digest_does_not_depend_on_the_caches(project: Project) -> None:
    """A second build from the cache and a third without one give the first one's digest."""
    wheel = project.wheel("alpha")
    first = project.build(wheel)
    second = project.build(wheel)
    shutil.rmtree(project.cache)
    third = project.build(wheel)

    assert first.digest == second.digest == third.digest
    assert first.tag == third.tag


def test_a_cached_layer_needs_no_wheel(project: Project) -> None:
    """Nothing is fetched for layers that are there already."""
    wheel = project.wheel("alpha")
    first = project.build(wheel)
    shutil.rmtree(project.cache / "imagekit" / "files")
    shutil.rmtree(project.root / "index")

    assert project.build(wheel).digest == first.digest


def test_one_changed_wheel_changes_its_own_layer(project: Project) -> None:
    """All other layers keep their digests, the base and the source among them."""
    alpha = project.wheel("alpha")
    old = project.build(alpha, project.wheel("beta", version="1.0"))
    new = project.build(alpha, project.wheel("beta", version="1.1"))
    before = {layer.digest for layer in old.image.layers}
    after = {layer.digest for layer in new.image.layers}

    assert len(before - after) == 1
    assert len(after - before) == 1
    assert old.tag != new.tag


def test_wheels_that_contradict_each_other_are_refused(project: Project) -> None:
    """The build fails before it writes an image, also when both layers are in the cache."""
    alpha = project.wheel("alpha")
    rival = project.wheel("rival", module="alpha")
    project.build(alpha)
    project.build(rival)

    for _ in range(2):
        with pytest.raises(BuildError, match=r"alpha.*rival.*both write"):
            project.build(alpha, rival)


def test_a_base_that_changed_since_the_lock_is_refused(project: Project) -> None:
    """A layout folder that holds another image than the locked one is not built on."""
    project.section = {**project.section, "digest": "sha256:" + "0" * 64}

    with pytest.raises(BuildError, match="the lock says"):
        project.build()


def test_without_destination_the_image_is_in_the_store(project: Project) -> None:
    """`imagekit run` and `inspect` find it there by name and by digest."""
    built = project.build()

    assert Store().find(f"thing:{built.tag}").digest == built.digest
    assert Store().find(f"thing@{built.digest}").digest == built.digest


def test_destinations_all_get_the_same_image(project: Project) -> None:
    """Folder and archives hold the digest that the build prints."""
    places = (f"oci:{project.root}/layout", f"oci-archive:{project.root}/image.tar")
    built = project.build(to=places)
    with tarfile.open(project.root / "image.tar") as archive:
        index = archive.extractfile("index.json")
        assert index is not None
        assert built.digest.encode() in index.read()

    assert built.digest in (project.root / "layout" / "index.json").read_text()


@pytest.mark.parametrize("mode", ["all", "no_copy"])
def test_source_copy_mode_decides_whether_source_is_copied(project: Project, mode: str) -> None:
    """`no_copy` leaves the source out, and then a change of it changes no image."""
    project.spec = ImageSpec(
        name="thing", source_root="src", source_copy_mode=mode, compile_bytecode=False
    )
    before = project.build()
    (project.root / "src" / "task.py").write_text("x = 2")
    after = project.build()

    assert ("root/task.py" in files(before)) == (mode == "all")
    assert (before.digest != after.digest) == (mode == "all")


def test_the_root_of_an_image_is_no_place_for_files(project: Project) -> None:
    """Its folders would become the user's; without files it is a workdir like others."""
    project.spec = ImageSpec(name="thing", workdir="/", copy=["src"], compile_bytecode=False)
    with pytest.raises(BuildError, match="as the root of an image must not"):
        project.build()
    project.spec = ImageSpec(name="thing", workdir="/", compile_bytecode=False)
    assert project.build().image.config.object("config").text("WorkingDir") == "/"


def test_copied_files_keep_their_relative_paths(project: Project) -> None:
    """`copy` puts files below the workdir, and needs no source_root."""
    (project.root / "data").mkdir()
    (project.root / "data" / "a.csv").write_text("1")
    project.spec = ImageSpec(
        name="thing", copy=["data/a.csv"], workdir="/work", compile_bytecode=False
    )

    assert "work/data/a.csv" in files(project.build())


def test_a_copied_file_that_is_missing_is_named(project: Project) -> None:
    """The message says which path of the spec does not exist."""
    project.spec = ImageSpec(name="thing", copy=["nothing"], compile_bytecode=False)

    with pytest.raises(BuildError, match="nothing does not exist"):
        project.build()


def test_docker_archives_are_named_after_the_image(project: Project) -> None:
    """`docker load` shows the repository and tag of the build."""
    built = project.build(to=(f"docker-archive:{project.root}/image.tar",))
    with tarfile.open(project.root / "image.tar") as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        assert f"thing:{built.tag}".encode() in io.BytesIO(manifest.read()).getvalue()


def test_several_platforms_are_one_index_everywhere(project: Project) -> None:
    """Each image is the one that its platform gets alone; layers for both are made once."""
    alpha = project.wheel("alpha")
    alone = project.build(alpha)
    folder, archive = f"oci:{project.root}/layout", f"oci-archive:{project.root}/image.tar"
    both = project.build_all({PLATFORM: [alpha], OTHER: [alpha]}, (folder, archive))
    assert isinstance(both.named, ImageIndex)
    here, there = both.named.images
    assert (here.digest, both.image.digest) == (alone.digest, alone.digest)
    assert there.platform == OTHER
    assert [layer.digest for layer in there.layers] == [layer.digest for layer in here.layers]
    for place in (folder, archive):
        assert read_all(Destination.parse(place)).digest == both.digest
        assert read_image(Destination.parse(place), OTHER).digest == there.digest
    validate(there)


def test_the_store_keeps_all_platforms_and_gives_this_machines(project: Project) -> None:
    """`run` finds an image that runs here, `push` finds them all."""
    both = project.build_all({PLATFORM: [], OTHER: []})
    name = f"thing:{both.tag}"
    assert Store().find(name).platform == PLATFORM
    assert Store().find_all(name).digest == both.digest


def test_one_platform_archives_refuse_several(project: Project) -> None:
    """The message says what holds them all."""
    with pytest.raises(BuildError, match="holds one platform") as caught:
        project.build_all({PLATFORM: [], OTHER: []}, (f"docker-archive:{project.root}/image.tar",))
    assert "oci-archive" in str(caught.value.hint)


def test_a_tag_is_formed_as_the_spec_says(project: Project) -> None:
    """Around the hash, which stays; one platform or several."""
    locks = project.locks({PLATFORM: [], OTHER: []})
    shaped = dataclasses.replace(project.spec, tag_format="main-{spec_hash}.x")
    for chosen in (locks[:1], locks):
        plain = image_tag(project.spec, project.path, chosen)
        assert image_tag(shaped, project.path, chosen) == f"main-{plain}.x"
    project.spec = shaped
    built = project.build()
    assert built.tag == image_tag(shaped, project.path, locks[:1])
    assert forecast(shaped, project.path, locks[0], Silent()).identity in built.tag
