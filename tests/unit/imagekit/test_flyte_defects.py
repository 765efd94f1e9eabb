# SPDX-License-Identifier: Apache-2.0
"""Known defects of Flyte's image building, by their numbers in its users' lists: none is ours.

Each test is named after its number. Where a builder other than the native one could have it, that
builder's own tests look too.
"""

from __future__ import annotations

import dataclasses
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagekit.builders import identity
from imagekit.builders.existing import Existing, existing
from imagekit.builders.forecast import forecast
from imagekit.engines.container import Docker
from imagekit.errors import EngineError, SpecError
from imagekit.layers.tree import Node, scan
from imagekit.lock.cuda import choose
from imagekit.lock.model import Lock, RuntimePin
from imagekit.oci.image import Image
from imagekit.planning.planner import Files, make_plan
from imagekit.progress import Silent
from imagekit.registry.access import Access, Pace
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from imagekit.spec.digest import spec_digest
from imagekit.spec.load import check_spec, parse_spec
from imagekit.spec.model import ImageSpec
from tests.unit.imagekit.builders.project import PLATFORM, Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def tag(
    project: Project,
    spec: ImageSpec | None = None,
    lock: Lock | None = None,
    made_by: Mapping[str, str] | None = None,
) -> str:
    (usual,) = project.locks({PLATFORM: []})
    return make_plan(
        spec or project.spec,
        Files(project.root),
        lock or usual,
        base_layers=1,
        made_by=made_by or identity.native_identity(usual, bytecode=False),
    ).tag


def test_1_the_tag_identifies_the_image(project: Project) -> None:
    """Builder, versions of what writes layers, runtime, Python and base are all in it."""
    (lock,) = project.locks({PLATFORM: []})
    native = identity.native_identity(lock, bytecode=False)
    other_python = dataclasses.replace(lock.target, python_version="3.11.3")
    tags = [
        tag(project),
        tag(project, made_by=identity.dockerfile_identity(lock)),
        tag(project, made_by={**native, "wheels": "wheels-0"}),
        tag(project, made_by=identity.native_identity(lock, bytecode=True)),
        tag(project, lock=dataclasses.replace(lock, runtime=RuntimePin("1", "ab" * 32))),
        tag(project, lock=dataclasses.replace(lock, target=other_python)),
        tag(project, lock=dataclasses.replace(lock, base={**lock.base, "digest": "sha256:1"})),
    ]
    assert len(set(tags)) == len(tags)


def test_1_nothing_of_the_client_is_in_it(project: Project) -> None:
    """Nor of where things come from: hints and the resolver's version change no tag."""
    (lock,) = project.locks({PLATFORM: []})
    moved = {**lock.base, "reference": "oci:elsewhere"}
    told = dataclasses.replace(lock, base=moved, uv_version="9", spec_digest="sha256:1")
    assert tag(project) == tag(project, lock=told)
    assert tag(project) == tag(project, dataclasses.replace(project.spec, name="other"))


def test_2_files_are_hashed_whole(project: Project) -> None:
    """Where they land, what they hold, and whether they are programs."""
    for folder, name in (("ab", "c.py"), ("a", "bc.py")):
        (project.root / folder).mkdir()
        (project.root / folder / name).write_text("same")
    one = tag(project, ImageSpec(copy=["ab/c.py"]))
    other = tag(project, ImageSpec(copy=["a/bc.py"]))
    (project.root / "ab" / "c.py").chmod(0o755)
    program = tag(project, ImageSpec(copy=["ab/c.py"]))
    assert len({one, other, program}) == 3


def test_2_a_link_is_not_what_it_leads_to(tmp_path: Path) -> None:
    """It is copied and hashed as a link."""
    (tmp_path / "link").symlink_to("target")
    (node,) = scan(tmp_path)
    assert node.identity == Node("link", tmp_path, "link", target="target").identity


def test_2_included_requirements_count(tmp_path: Path) -> None:
    """A file that a requirements.txt includes decides what is locked, as the file itself does."""
    (tmp_path / "all.txt").write_text("-r more.txt\n-c pins.txt\n")
    spec = ImageSpec(requirements="all.txt")
    digests = set()
    for more, pins in (("a", ""), ("b", ""), ("a", "a<2")):
        (tmp_path / "more.txt").write_text(more)
        (tmp_path / "pins.txt").write_text(pins)
        digests.add(spec_digest(spec, tmp_path))
    assert len(digests) == 3


def test_3_equal_specs_have_equal_tags(project: Project) -> None:
    """Order of packages, variables and labels means nothing."""
    one = ImageSpec(packages=["a", "b"], env={"A": "1", "B": "2"}, labels={"x": "1", "y": "2"})
    other = ImageSpec(packages=["b", "a"], env={"B": "2", "A": "1"}, labels={"y": "2", "x": "1"})
    assert one == other
    assert tag(project, one) == tag(project, other)
    assert spec_digest(one, project.root) == spec_digest(other, project.root)


def test_4_unknown_is_not_exists(project: Project) -> None:
    """A registry that can't be asked is unknown, with the reason; that is neither yes nor no."""
    client = RegistryClient(Access(environ={}, pace=Pace(attempts=1)))
    found = existing(
        RegistryReference.parse("registry.invalid/x:1"), project.locks({PLATFORM: []}), client
    )
    assert found.answer == "unknown"
    assert "registry.invalid" in found.reason
    with pytest.raises(TypeError):
        bool(found)
    assert Existing("exists") != Existing("unknown")


def test_5_values_of_variables_are_taken_as_they_are(project: Project) -> None:
    """Blanks, quotes, dollars, backslashes and line ends reach the image's configuration."""
    values = {"A": "hello world", "B": "a \"b\" 'c'", "C": "$HOME\\n", "D": "two\nlines", "E": ""}
    project.spec = dataclasses.replace(project.spec, env=values)
    image = project.build().image
    found = dict(item.partition("=")[::2] for item in image.config.object("config").texts("Env"))
    assert {name: found[name] for name in values} == values


def paths(image: Image) -> set[str]:
    found: set[str] = set()
    for layer in image.layers[1:]:
        with layer.open() as stream, tarfile.open(fileobj=stream, mode="r:gz") as archive:
            found |= {member.name for member in archive}
    return found


def test_6_a_bases_ca_certificates_are_left_alone(project: Project) -> None:
    """No layer on a base image writes below /etc/ssl, or sets variables that lead elsewhere."""
    image = project.build(project.wheel("alpha")).image
    assert not [path for path in paths(image) if path.startswith(("etc/ssl", "usr/share/ca"))]
    variables = [item.partition("=")[0] for item in image.config.object("config").texts("Env")]
    assert not [name for name in variables if "SSL" in name or "CA_BUNDLE" in name]


def test_7_a_build_needs_no_registry_and_no_index(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With lock and wheels at hand everything is made without a single connection."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert project.build(project.wheel("alpha")).digest


def test_8_cuda_is_never_ignored() -> None:
    """It decides which wheels are taken; a version that nobody knows is told, with its line."""
    spec = parse_spec("name: x\ncuda: '12.6'\ncudnn: '9'\n", source="spec.yaml", folder=Path())
    asked = choose(spec, {"kind": "debian"})
    assert asked.packages == ("nvidia-cuda-runtime-cu12==12.6.*", "nvidia-cudnn-cu12==9.*")
    assert "nvidia-cudnn-cu12==9.*" in asked.constraints
    with pytest.raises(SpecError, match=r"spec\.yaml:2: cuda '99\.9' is no version"):
        parse_spec("name: x\ncuda: '99.9'\n", source="spec.yaml", folder=Path())


def test_9_one_wheel_is_one_layer_and_the_digest_is_told(project: Project) -> None:
    """A changed package moves its own layer alone, and a build knows what it came to."""
    alpha = project.wheel("alpha")
    old = project.build(alpha, project.wheel("beta"))
    new = project.build(alpha, project.wheel("beta", "2.0"))
    before, after = ({layer.digest for layer in each.image.layers} for each in (old, new))
    assert len(after - before) == 1
    (lock,) = project.locks({PLATFORM: [alpha, project.wheel("beta", "2.0")]})
    image = forecast(project.spec, project.path, lock, Silent()).image
    assert image is not None
    assert image.digest == new.digest


def test_10_a_talkative_program_neither_hangs_nor_loses_its_reason(
    project: Project, tmp_path: Path
) -> None:
    """More on stderr than a pipe holds, in a folder whose name has blanks."""
    programs = tmp_path / "with blanks"
    programs.mkdir()
    docker = programs / "docker"
    docker.write_text("#!/bin/sh\nhead -c 500000 /dev/zero | tr '\\0' x >&2\necho >&2\n"
                      "echo 'no space left' >&2\nexit 1\n")  # fmt: skip
    docker.chmod(0o755)
    image = project.build().image
    engine = Docker({"PATH": f"{programs}:/usr/bin:/bin"})
    with pytest.raises(EngineError, match="no space left"):
        engine.load(image, "x:1")


def test_11_specs_never_change(project: Project) -> None:
    """A build leaves its spec as it was, and what a spec says of its entrypoint is done."""
    project.spec = dataclasses.replace(project.spec, entrypoint=["/bin/mine"])
    before = dataclasses.replace(project.spec)
    image = project.build().image
    assert project.spec == before
    assert image.config.object("config").texts("Entrypoint") == ("/bin/mine",)
    with pytest.raises(dataclasses.FrozenInstanceError):
        project.spec.name = "other"  # type: ignore[misc]
    check_spec(project.spec, project.root)
