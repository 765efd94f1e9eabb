# SPDX-License-Identifier: Apache-2.0
"""Changes of one thing each, and the one cause that is named for every layer that they change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.builders.forecast import forecast
from imagekit.builders.latest import latest_image
from imagekit.builders.record import Record, record_of, spec_of
from imagekit.builders.why import explain
from imagekit.errors import BuildError
from imagekit.layers.cache import LayerCache
from imagekit.lock.model import Lock
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.image import Image
from imagekit.oci.layout import write_layout
from imagekit.oci.store import Store
from imagekit.progress import Silent
from imagekit.spec.model import ImageSpec
from tests.unit.imagekit.builders.project import PLATFORM, Project


class Changing:
    """A built project, and what is changed of it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.wheels = {name: project.wheel(name) for name in ("alpha", "beta")}
        self.lock_members: dict[str, object] = {}
        for name in ("a.txt", "b.txt"):
            (project.root / name).write_text(name)
        (project.root / "src" / "link").symlink_to("task.py")
        self.spec = ImageSpec(
            name="thing",
            source_root="src",
            copy=["a.txt"],
            env={"A": "1"},
            labels={"x": "1"},
            compile_bytecode=False,
        )

    def replace(self, **members: object) -> None:
        self.spec = dataclasses.replace(self.spec, **members)  # type: ignore[arg-type]

    def path(self, name: str) -> Path:
        return self.project.root / name

    def write(self, name: str, text: str) -> None:
        self.path(name).write_text(text)

    def relink(self, target: str | None, text: str = "") -> None:
        """Make the link lead to `target`, or be a file that holds `text`."""
        self.path("src/link").unlink()
        if target is None:
            self.write("src/link", text)
        else:
            self.path("src/link").symlink_to(target)

    @property
    def lock(self) -> Lock:
        (lock,) = self.project.locks({PLATFORM: list(self.wheels.values())})
        return dataclasses.replace(lock, **self.lock_members)  # type: ignore[arg-type]

    def build(self) -> Image:
        self.project.spec = self.spec
        return self.project.build(*self.wheels.values()).image

    def why(self, old: Image) -> dict[str, str]:
        found = explain(old, forecast(self.spec, self.project.path, self.lock, Silent()))
        return {f"{each.layer} {each.became}": str(each.cause) for each in found}

    def bump(self, name: str) -> None:
        self.wheels[name] = self.project.wheel(name, "2.0")

    def python(self, version: str) -> None:
        target = dataclasses.replace(self.lock.target, python_version=version)
        self.lock_members["target"] = target

    def another_base(self) -> None:
        layer = LayerCache().make("other", lambda writer: writer.file("etc/other", b"other"))
        base = assemble(None, [Addition(layer, "base")], Settings(), platform=PLATFORM)
        write_layout(base, self.project.root / "other")
        section = {"reference": "oci:other", "digest": base.digest}
        self.project.section = {**self.project.section, **section}


@pytest.fixture
def changing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Changing:
    return Changing(Project(tmp_path, monkeypatch))


COMPILED = ("alpha==1.0 changed", "beta==1.0 changed", "runtime changed")
SEEDED: list[tuple[Callable[[Changing], object], dict[str, str]]] = [
    (lambda c: None, {}),
    (
        lambda c: c.write("src/task.py", "x = 2"),
        {"source src changed": "file src/task.py: content"},
    ),
    (lambda c: c.write("src/new.py", "x"), {"source src changed": "file src/new.py: new"}),
    (
        lambda c: c.path("src/task.py").unlink(),
        {"source src changed": "file src/task.py: gone"},
    ),
    (
        lambda c: c.path("src/task.py").chmod(0o755),
        {"source src changed": "file src/task.py: mode"},
    ),
    (
        lambda c: c.relink(None, "1"),
        {"source src changed": "file src/link: a link became a file"},
    ),
    (
        lambda c: c.relink("elsewhere"),
        {"source src changed": "file src/link: content"},
    ),
    (lambda c: c.write("a.txt", "other"), {"copied files changed": "file a.txt: content"}),
    (lambda c: c.replace(copy=["a.txt", "b.txt"]), {"copied files changed": "file b.txt: new"}),
    (lambda c: c.replace(copy=[]), {"copied files gone": "field copy"}),
    (
        lambda c: c.replace(source_root=None),
        {"source src gone": "field source_root"},
    ),
    (
        lambda c: c.replace(source_copy_mode="no_copy"),
        {"source src gone": "field source_copy_mode"},
    ),
    (lambda c: c.bump("alpha"), {"alpha==2.0 changed": "lock line alpha: 1.0 -> 2.0"}),
    (lambda c: c.wheels.pop("beta"), {"beta==1.0 gone": "lock line beta: 1.0 is gone"}),
    (
        lambda c: c.wheels.update(gamma=c.project.wheel("gamma")),
        {"gamma==1.0 new": "lock line gamma: 1.0 is new"},
    ),
    (
        lambda c: c.wheels.update(beta=c.project.wheel("beta", module="other")),
        {"beta==1.0 changed": "lock line beta: 1.0, another file: sha256 "},
    ),
    (
        lambda c: c.python("3.12.1"),
        dict.fromkeys(("/opt/venv changed", *COMPILED), "field python_version: 3.11 -> 3.12"),
    ),
    (
        lambda c: c.replace(compile_bytecode=True),
        dict.fromkeys(COMPILED, "field compile_bytecode: false -> true"),
    ),
    (lambda c: c.another_base(), {"base image changed": "field base_image: sha256:"}),
    (
        lambda c: c.replace(workdir="/work"),
        {
            "source src changed": "field workdir: /root -> /work",
            "copied files changed": "field workdir: /root -> /work",
            "configuration changed": "field workdir: is changed",
        },
    ),
    (
        lambda c: c.replace(env={"A": "2"}),
        {"configuration changed": "field env.A: is changed"},
    ),
    (
        lambda c: c.replace(labels={}),
        {"configuration changed": "field labels.x: is gone"},
    ),
    (lambda c: c.replace(user="7"), {"configuration changed": "field user: is changed"}),
    (
        lambda c: c.replace(entrypoint=["/x"]),
        {"configuration changed": "field entrypoint: is changed"},
    ),
    (
        lambda c: c.wheels.update(flytekit=c.project.wheel("flytekit")),
        {
            "flytekit==1.0 new": "lock line flytekit: 1.0 is new",
            "runtime changed": "lock line flytekit: 1.0 is new",
        },
    ),
]


@pytest.mark.parametrize("seed", range(len(SEEDED)))
def test_each_change_has_its_one_cause(changing: Changing, seed: int) -> None:
    """Every layer that changes is named with what changed it, and no other layer is named."""
    change, expected = SEEDED[seed]
    old = changing.build()
    change(changing)
    found = {_short(layer): cause for layer, cause in changing.why(old).items()}
    assert set(found) == set(expected)
    for layer, cause in expected.items():
        assert found[layer].startswith(cause), layer


def _short(layer: str) -> str:
    words = layer.split()
    return f"runtime {words[-1]}" if words[0] == "runtime" else layer


def debian(lock: Lock, **versions: str) -> Lock:
    """The same lock on an embedded base."""
    packages = [
        {
            "name": name,
            "version": version,
            "architecture": "amd64",
            "filename": f"pool/{name}.deb",
            "sha256": version.encode().hex().ljust(64, "0"),
            "size": 1,
        }
        for name, version in versions.items()
    ]
    section = {
        "kind": "debian",
        "release": "bookworm",
        "architecture": "amd64",
        "python-version": "3.11.2",
        "python-path": "/usr/bin/python3",
        "libc": ["glibc", 2, 36],
        "released": {},
        "packages": packages,
    }
    return dataclasses.replace(lock, base=section)


def test_a_debian_package_changes_the_base_alone_unless_it_is_python(changing: Changing) -> None:
    """Bytecode follows the interpreter, so a new Python changes every layer that holds some."""
    record = Record.of(debian(changing.lock, libc6="1", python3="1"), bytecode=True)
    old = with_record(changing.build(), record)
    changing.replace(compile_bytecode=True)
    project = changing.project

    def why(**versions: str) -> dict[str, str]:
        new = forecast(changing.spec, project.path, debian(changing.lock, **versions), Silent())
        return {each.layer: str(each.cause) for each in explain(old, new)}

    assert why(libc6="2", python3="1") == {"Debian bookworm": "lock line libc6: 1 -> 2"}
    by_python = why(libc6="1", python3="2")
    assert set(by_python.values()) == {"lock line python3: 1 -> 2"}
    assert {"Debian bookworm", "alpha==1.0", "beta==1.0"} < set(by_python)


def with_record(image: Image, record: Record) -> Image:
    """`image` without layers of a base, saying that it was made from another lock."""
    annotations = {"dev.imagekit.record": record.encoded()}
    made = assemble(None, [], Settings(), platform=PLATFORM, annotations=annotations)
    container = image.config.object("config")
    settings = Settings(
        user=container.text("User"),
        environment=dict(item.partition("=")[::2] for item in container.texts("Env")),
        entrypoint=container.texts("Entrypoint"),
        workdir=container.text("WorkingDir"),
        labels=container.text_map("Labels"),
    )
    created = [entry.text("created_by") for entry in image.config.objects("history")]
    pairs = zip(image.layers[1:], created[1:], strict=True)
    additions = [Addition(layer, made_by) for layer, made_by in pairs]
    return assemble(made, additions, settings, platform=PLATFORM, annotations=annotations)


def test_an_image_says_what_it_was_made_from(changing: Changing) -> None:
    """As the lock does, without hints: no path, no host, nothing of where the base lies."""
    image = changing.build()
    record = record_of(image)
    assert record == Record.of(changing.lock, bytecode=False)
    text = str(record)
    assert changing.wheels["alpha"].sha256 in text
    assert "oci:base" not in text
    assert "file:" not in text
    spec = spec_of(image, record)
    assert spec["packages"] == ["alpha==1.0", "beta==1.0"]
    assert (spec["source_root"], spec["labels"]) == ("src", {"x": "1"})


def test_images_of_others_can_not_be_explained(changing: Changing) -> None:
    """Which is said, with what to do."""
    foreign = assemble(None, [], Settings(), platform=PLATFORM)
    with pytest.raises(BuildError, match="does not say what it was made from"):
        changing.why(foreign)


def test_the_last_image_of_a_spec_is_found_again(changing: Changing) -> None:
    """In the store, or where it was sent; not in places that lose what it was made from."""
    path = changing.project.path
    assert latest_image(path) is None
    built = changing.build()
    latest = latest_image(path)
    assert latest is not None
    assert Store().find(latest).digest == built.digest
    changing.project.build(to=(f"oci:{changing.project.root}/layout:v",))
    assert latest_image(path) == f"oci:{changing.project.root}/layout:v"
    changing.project.build(to=(f"docker-archive:{changing.project.root}/a.tar",))
    assert latest_image(path) is None
