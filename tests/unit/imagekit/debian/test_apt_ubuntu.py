# SPDX-License-Identifier: Apache-2.0
"""`apt_packages` on a base of Ubuntu, from an archive in its form that is made here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from imagekit.builders.build import build
from imagekit.builders.forecast import forecast
from imagekit.builders.runtime import runtime_pin
from imagekit.debian.apt.section import AptSet
from imagekit.errors import FetchError, ImagekitError, IntegrityError, LockError, SpecError
from imagekit.lock.ensure import ensure_lock
from imagekit.lock.model import Lock
from imagekit.lock.refresh import refresh_lock
from imagekit.oci.layout import read_layout, write_layout
from imagekit.oci.unpack import unpack
from imagekit.oci.validate import validate
from imagekit.progress import Silent
from imagekit.spec.load import load_spec
from tests.fakes.apt_archive import AptArchive
from tests.fakes.images import file_layer, image_of

SPEC = "base_image: oci:base\nobject_storage: false\ncompile_bytecode: false\n"
STATUS = """\
Package: dpkg
Status: install ok installed
Version: 1.22.6ubuntu6
Architecture: amd64

Package: libc6
Status: install ok installed
Version: 2.39-0ubuntu8
Architecture: amd64

"""
KEYRING = "usr/share/keyrings/ubuntu-archive-keyring.gpg"
SOURCES = "etc/apt/sources.list.d/ubuntu.sources"
FILES = {
    "etc/os-release": b'ID=ubuntu\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nID_LIKE=debian\n',
    "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\nubuntu:x:1000:1000::/root:/bin/bash\n",
    "etc/group": b"root:x:0:\n",
    "usr/bin/dpkg": b"program",
    "usr/bin/python3": b"\x7fELF...\x003.12.3\x00...",
    "usr/lib/x86_64-linux-gnu/libc.so.6": b"\x7fELF stable release version 2.39.\n",
    "var/lib/dpkg/status": STATUS.encode(),
}


class Place:
    """A folder with a spec, a base and an archive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.archive = AptArchive(root / "archive", "noble")
        self.archive.add("tool", "1.0", "Depends: library (>= 2), libc6\n")
        self.archive.add("library", "2", component="universe")
        self.archive.add("library", "2.1", component="universe", suite="-security")
        self.archive.add("other", "1", "Depends: library\n", suite="-updates")
        self.archive.publish()
        self.spec("spec", f"{SPEC}apt_packages: [tool]\n")

    def base(self, changes: Mapping[str, bytes | None] | None = None) -> None:
        own = {KEYRING: self.archive.keyring, SOURCES: self.archive.sources().encode()}
        files = {**FILES, **own, **(changes or {})}
        layer = file_layer(self.root, {path: data for path, data in files.items() if data})
        write_layout(image_of(layer), self.root / "base")

    def spec(self, name: str, text: str) -> Path:
        path = self.root / f"{name}.yaml"
        path.write_text(text)
        return path

    def lock(self, name: str = "spec") -> Lock:
        path = self.root / f"{name}.yaml"
        (lock,) = refresh_lock(
            load_spec(path), path, upgrade=False, runtime=runtime_pin(), progress=Silent()
        )
        return lock

    def build(self, name: str = "spec") -> Path:
        """The image's root."""
        path = self.root / f"{name}.yaml"
        locks = ensure_lock(
            load_spec(path), path, locked=True, runtime=runtime_pin(), progress=Silent()
        )
        predicted = forecast(load_spec(path), path, locks[0], Silent()).image
        built = build(load_spec(path), path, locks, (f"oci:{self.root / name}-image",), Silent())
        if predicted is not None:
            assert predicted.digest == built.digest
        image = read_layout(self.root / f"{name}-image")
        validate(image)
        root = self.root / f"{name}-root"
        root.mkdir()
        unpack(image, root)
        return root


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("IMAGEKIT_UBUNTU_MIRROR", "IMAGEKIT_UBUNTU_SECURITY_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    return Place(tmp_path)


def chosen(lock: Lock) -> list[str]:
    assert lock.apt is not None
    return [f"{each.name} {each.version}" for each in AptSet.from_dict(lock.apt).packages]


def installed(root: Path) -> dict[str, str]:
    """By package, what its file holds."""
    return {path.name: path.read_text() for path in (root / "usr/share/made").iterdir()}


def test_packages_come_from_the_base_s_own_sources(place: Place) -> None:
    """Of main and universe, with security updates, believed by the keys of the base's own apt."""
    place.base()
    lock = place.lock()
    assert chosen(lock) == ["library 2.1", "tool 1.0"]
    assert lock.apt is not None
    assert lock.apt["release"] == "ubuntu noble"
    assert str(place.root) not in (place.root / "pylock.toml").read_text()
    root = place.build()
    assert installed(root) == {"library": "2.1", "tool": "1.0"}
    status = (root / "var/lib/dpkg/status").read_text()
    assert "Package: tool\nStatus: install ok installed\n" in status


def test_a_mirror_that_is_named_comes_first(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the spec, else in the environment, else in the base's one-line sources."""
    old = b"deb [signed-by=/x.gpg] file:///nowhere noble main universe\n"
    old += b"deb file:///nowhere noble-security main\n"
    place.base({SOURCES: None, "etc/apt/sources.list": old})
    with pytest.raises(FetchError, match="/nowhere/dists/noble"):
        place.lock()
    monkeypatch.setenv("IMAGEKIT_UBUNTU_MIRROR", place.archive.uri)
    with pytest.raises(FetchError, match="/nowhere/dists/noble-security"):
        place.lock()
    options = f"builder_options: {{ubuntu_security_mirror: '{place.archive.uri}'}}\n"
    place.spec("spec", f"{SPEC}apt_packages: [tool]\n{options}")
    assert chosen(place.lock()) == ["library 2.1", "tool 1.0"]


WRONG: Mapping[str, tuple[Mapping[str, bytes | None], type[ImagekitError], str]] = {
    "no mirror": ({SOURCES: None}, FetchError, "no mirror of Ubuntu's packages is known"),
    "no keyring": ({KEYRING: None}, LockError, "no keys of Ubuntu's archive"),
    "no keys in it": ({KEYRING: b"text"}, IntegrityError, "keys of the base do not read"),
    "another system": (
        {"etc/os-release": b"ID=alpine\nVERSION_ID=3\n"},
        LockError,
        "packages of alpine can't be verified",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_the_base_lacks_is_named(place: Place, what: str) -> None:
    """With the way out."""
    changes, kind, message = WRONG[what]
    place.base(changes)
    with pytest.raises(kind, match=message) as caught:
        place.lock()
    assert caught.value.hint


def test_an_archive_that_others_signed_is_not_believed(place: Place) -> None:
    """Nor a list that is not the signed one."""
    place.base({KEYRING: AptArchive(place.root / "x", "noble").keyring})
    with pytest.raises(IntegrityError, match="InRelease"):
        place.lock()
    place.base()
    place.archive.publish(listed=b"something else")
    with pytest.raises(IntegrityError, match="package list of noble"):
        place.lock()


def test_a_spec_adds_packages_to_those_of_its_base(place: Place) -> None:
    """What the base's spec has stays as it is, even when the archive has it no more."""
    place.base()
    place.spec("below", f"{SPEC}name: below\napt_packages: [tool]\n")
    place.spec("above", "base_image: below.yaml\napt_packages: [other]\ncompile_bytecode: false\n")
    place.lock("below")
    place.archive.forget()
    place.archive.add("other", "1", "Depends: library\n")
    place.archive.add("library", "3")
    place.archive.publish()
    assert chosen(place.lock("above")) == ["library 2.1", "other 1", "tool 1.0"]
    assert installed(place.build("above")) == {"library": "2.1", "other": "1", "tool": "1.0"}

    place.archive.add("tool", "2.0", "Depends: library\n")
    place.archive.publish()
    assert chosen(place.lock("below")) == ["library 3", "tool 2.0"]
    with pytest.raises(LockError, match=r"made for another lock of .*below\.yaml"):
        place.build("above")


def test_a_spec_on_a_spec_may_name_the_mirror(place: Place) -> None:
    """Where its base's spec needs none."""
    place.base({SOURCES: None})
    place.spec("below", f"{SPEC}name: below\n")
    uri = place.archive.uri
    place.spec(
        "above",
        "base_image: below.yaml\napt_packages: [tool]\ncompile_bytecode: false\n"
        f"builder_options: {{ubuntu_mirror: '{uri}', ubuntu_security_mirror: '{uri}'}}\n",
    )
    assert chosen(place.lock("above")) == ["library 2.1", "tool 1.0"]
    assert installed(place.build("above")) == {"library": "2.1", "tool": "1.0"}


def test_what_is_not_there_is_told_by_the_spec_that_asks(place: Place) -> None:
    """With its line."""
    place.base()
    place.spec("below", f"{SPEC}name: below\n")
    place.spec("above", "base_image: below.yaml\napt_packages: [toll]\n")
    with pytest.raises(SpecError, match=r"above\.yaml:2: apt_packages: no package toll"):
        place.lock("above")
