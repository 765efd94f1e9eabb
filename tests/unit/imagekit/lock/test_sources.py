# SPDX-License-Identifier: Apache-2.0
"""Packages without a wheel: folders, archives, sdists and repositories, built on this machine."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imagekit.errors import IntegrityError, LockError
from imagekit.fetch import cached
from imagekit.lock import file
from imagekit.lock.model import MACHINES, BuiltFrom, Lock, LockedWheel, Target
from imagekit.lock.resolve import resolve_packages
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.lock.sources.host import glibc
from imagekit.progress import Silent
from imagekit.spec.digest import spec_digest
from imagekit.spec.model import ImageSpec
from tests.fakes.git_server import serving_git
from tests.fakes.projects import commit, make_project, make_sdist, run_git

HERE = next(name for name, machine in MACHINES.items() if machine == platform.machine())
ELSEWHERE = next(name for name in MACHINES if name != HERE)
PYTHON = platform.python_version()
TARGET = Target(HERE, PYTHON, "/usr/bin/python3", glibc())


class Workplace:
    """A spec's folder with an index that is a folder too, on a machine with a cache of its own."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = root / "spec"
        self.index = root / "index"
        for each in (self.folder, self.index):
            each.mkdir()
        text = f'no-index = true\nfind-links = ["{self.index}"]\n'
        (self.folder / "uv.toml").write_text(text)
        self._root, self._patch = root, patch
        self.environ: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "SECRET": "hunter2",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self.machine("one")

    def machine(self, name: str) -> None:
        """Go on at another machine, which shares nothing but the spec's folder."""
        self._patch.setenv("XDG_CACHE_HOME", str(self._root / name))

    def spec(self, *packages: str, **members: Any) -> ImageSpec:
        defaults = {"object_storage": False, "allow_build": True, "platform": HERE}
        return ImageSpec(packages=packages, **{**defaults, **members})

    def builder(self, spec: ImageSpec) -> SourceBuilder:
        return SourceBuilder(spec, self.folder, Silent(), self.environ)

    def resolve(
        self, *packages: str, target: Target = TARGET, **members: Any
    ) -> tuple[LockedWheel, ...]:
        spec = self.spec(*packages, **members)
        return resolve_packages(
            spec,
            self.folder,
            target,
            preferences=(),
            sources=self.builder(spec),
            environ=self.environ,
        )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    return Workplace(tmp_path, monkeypatch)


def module_of(wheel: LockedWheel) -> str:
    path = cached(wheel.sha256)
    assert path is not None
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"{wheel.name}.py").decode()


def test_a_folder_is_built_and_locked(place: Workplace) -> None:
    """By digest; what it needs comes along, and its own folder stays as it was."""
    project = make_project(place.folder / "lib", requires="Requires-Dist: other\\n")
    make_sdist(place.index, make_project(place.folder / "o", "other"), "other", "1.0")
    before = sorted(project.rglob("*"))
    other, thing = place.resolve("./lib")
    assert (thing.name, thing.version, thing.url) == ("thing", "1.0", None)
    assert thing.built is not None
    assert (thing.built.kind, thing.built.location) == ("directory", "./lib")
    assert other.built is not None
    assert other.built.kind == "sdist"
    assert sorted(project.rglob("*")) == before


def test_a_build_sees_the_same_on_every_machine(place: Workplace) -> None:
    """Time, zone and umask are pinned, and the user's own variables stay out."""
    make_project(place.folder / "lib")
    before = os.umask(0o077)
    try:
        (thing,) = place.resolve("./lib")
    finally:
        os.umask(before)
    assert module_of(thing) == "SEEN = ['315619200', 'UTC', '', '0o22']\n"


def test_nothing_is_built_unasked(place: Workplace) -> None:
    """Neither what the spec names nor what an index has, and the way out is told."""
    make_project(place.folder / "lib", extra="1/0")
    sdist = make_sdist(place.index, place.folder / "lib", "thing", "1.0")
    for text in ("./lib", "thing", f"thing @ {sdist.as_uri()}"):
        with pytest.raises(LockError) as caught:
            place.resolve(text, allow_build=False)
        assert "allow_build" in str(caught.value.hint)


def test_names_allow_those_alone(place: Workplace) -> None:
    """Known before any code of the project runs."""
    make_project(place.folder / "lib", "other", extra="1/0")
    with pytest.raises(LockError, match=r"\./lib has to be built, which runs its code"):
        place.resolve("./lib", allow_build=["thing"])
    with pytest.raises(LockError, match="the project there is other"):
        place.resolve("thing @ ./lib", allow_build=["thing"])
    make_project(place.folder / "lib", "thing")
    assert place.resolve("./lib", allow_build=["Thing"])


def test_only_what_has_no_wheel_is_built(place: Workplace) -> None:
    """An older wheel is taken rather than newer source, as it is without allow_build."""
    project = make_project(place.folder / "lib", "thing", "2.0")
    make_sdist(place.index, project, "thing", "2.0")
    (wheel,) = place.resolve("thing")
    assert (wheel.version, wheel.built is not None) == ("2.0", True)
    name = "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(place.index / name, "w") as archive:
        archive.writestr(
            "thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"
        )
        archive.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    (wheel,) = place.resolve("thing")
    assert (wheel.version, wheel.built) == ("1.0", None)


def test_another_machine_builds_the_same_again(place: Workplace) -> None:
    """From the lock alone; with the wheel at hand nothing is built."""
    make_project(place.folder / "lib", extra='"x = 1"')
    (wheel,) = place.resolve("./lib")
    spec = place.spec("./lib")
    path = place.builder(spec).rebuild(wheel, TARGET)
    place.machine("two")
    with pytest.raises(LockError, match=r"thing 1\.0 has to be built"):
        place.builder(place.spec("./lib", allow_build=False)).rebuild(wheel, TARGET)
    assert place.builder(spec).rebuild(wheel, TARGET).read_bytes() == path.read_bytes()


def test_a_wheel_that_comes_out_differently_is_refused(place: Workplace) -> None:
    """With what can be done."""
    make_project(place.folder / "lib", extra="os.urandom(8).hex()")
    (wheel,) = place.resolve("./lib")
    place.machine("two")
    with pytest.raises(IntegrityError, match=f"the lock says .* with {wheel.sha256}") as caught:
        place.builder(place.spec("./lib")).rebuild(wheel, TARGET)
    assert "taken from the registry" in str(caught.value.hint)
    assert cached(wheel.sha256) is None


def test_a_changed_folder_makes_the_lock_stale(place: Workplace) -> None:
    """What tools leave in it does not, and to allow building changes nothing."""
    project = make_project(place.folder / "lib")
    (wheel,) = place.resolve("./lib")
    digest = spec_digest(place.spec("./lib"), place.folder)
    (project / "thing.egg-info").mkdir()
    (project / "build").mkdir()
    (project / "build" / "x").write_text("")
    assert spec_digest(place.spec("./lib", allow_build=False), place.folder) == digest
    (project / "more.py").write_text("")
    assert spec_digest(place.spec("./lib"), place.folder) != digest
    place.machine("two")
    with pytest.raises(LockError, match="has changed since the lock was made"):
        place.builder(place.spec("./lib")).rebuild(wheel, TARGET)


def test_requirements_files_name_source_too(place: Workplace) -> None:
    """Beside the rest, in what they include, and in constraints."""
    for name in ("one", "two", "three"):
        make_project(place.folder / name, name)
    make_sdist(place.index, make_project(place.folder / "s", "plain"), "plain", "1.0")
    (place.folder / "r").mkdir()
    (place.folder / "r" / "requirements.txt").write_text(
        "./one\n-r more.txt\n-c limits.txt\nthree\n"
    )
    (place.folder / "r" / "more.txt").write_text("two @ ./two\nplain ; python_version > '3'\n")
    (place.folder / "r" / "limits.txt").write_text("three @ ./three\n")
    found = place.resolve(requirements="r/requirements.txt")
    assert [wheel.name for wheel in found] == ["one", "plain", "three", "two"]
    assert all(wheel.built is not None for wheel in found)


def test_a_hash_holds_for_source(place: Workplace) -> None:
    """That of the archive, as the requirement or its file has it."""
    sdist = make_sdist(place.index, make_project(place.folder / "lib"), "thing", "1.0")
    wrong = "0" * 64
    with pytest.raises(IntegrityError, match=f"not {wrong}"):
        place.resolve(f"thing @ {sdist.as_uri()}#sha256={wrong}")
    (place.folder / "requirements.txt").write_text(f"thing==1.0 --hash=sha256:{wrong}\n")
    with pytest.raises(LockError, match="no source has a hash that the requirements list"):
        place.resolve(requirements="requirements.txt")


def test_a_repository_is_pinned_to_its_commit(place: Workplace) -> None:
    """What a branch came to stays, also for another machine; a subfolder may be the project."""
    repository = place.folder.parent / "repository"
    make_project(repository / "sub", "thing", "1.0")
    first = commit(repository, "v1")
    url = f"git+{repository.as_uri()}"
    (wheel,) = place.resolve(f"thing @ {url}@main#subdirectory=sub")
    assert wheel.built is not None
    assert (wheel.built.digest, wheel.built.revision) == (first, "main")
    make_project(repository / "sub", "thing", "2.0")
    second = commit(repository)
    place.machine("two")
    spec = place.spec(f"thing @ {url}@main#subdirectory=sub")
    assert place.builder(spec).rebuild(wheel, TARGET) == cached(wheel.sha256)
    for revision, expected in (("", second), ("@v1", first), (f"@{first[:12]}", first)):
        (again,) = place.resolve(f"{url}{revision}#subdirectory=sub")
        assert again.built is not None
        assert again.built.digest == expected
    with pytest.raises(LockError, match="has no branch, tag or commit 'gone'"):
        place.resolve(f"thing @ {url}@gone")


def test_submodules_come_along(place: Workplace) -> None:
    """A project may need what they hold."""
    root = place.folder.parent
    (root / "inner").mkdir()
    (root / "inner" / "part.txt").write_text("part")
    commit(root / "inner")
    outer = make_project(root / "outer", extra='open("inner/part.txt").read()')
    run_git("init", "-q", "-b", "main", cwd=outer)
    allowed = ("-c", "protocol.file.allow=always")
    run_git(*allowed, "submodule", "add", "-q", "../inner", cwd=outer)
    commit(outer)
    place.environ = {
        **place.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "protocol.file.allow",
        "GIT_CONFIG_VALUE_0": "always",
    }
    (wheel,) = place.resolve(f"thing @ git+{outer.as_uri()}")
    assert module_of(wheel).endswith("part")


def test_a_password_for_a_repository_is_kept_nowhere(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in lock, cache, arguments or errors; and the lock finds it in the spec again."""
    root = place.folder.parent
    commit(make_project(root / "served" / "thing", "thing"))
    log = root / "arguments"
    (root / "bin").mkdir()
    (root / "bin" / "git").write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {_git()} "$@"\n')
    (root / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{root}/bin:{os.environ['PATH']}")
    place.environ = {**place.environ, "PATH": os.environ["PATH"]}
    with serving_git(root / "served", "me", "pass:w@rd") as server:
        text = f"thing @ git+http://me:pass%3Aw%40rd@{server.host}/thing@main"
        (wheel,) = place.resolve(text)
        lock = Lock("x", TARGET, {"kind": "oci"}, (wheel,), None, "0")
        assert file.loads(file.dumps([lock]), source="lock")[0].packages == (wheel,)
        place.machine("two")
        path = place.builder(place.spec(text)).rebuild(wheel, TARGET)
        assert path == cached(wheel.sha256)
        place.machine("three")
        with pytest.raises(Exception, match="git fetch") as caught:
            place.resolve(text.replace("w%40rd", "wrong"))
    written = [log.read_text(), file.dumps([lock]), f"{caught.value}{caught.value.__cause__}"]
    stored = [p.read_bytes() for p in root.rglob("*") if p.is_file() and not p.is_relative_to(log)]
    assert "fetch" in written[0]
    assert not any(secret in text for text in written for secret in ("w@rd", "w%40rd", "wrong"))
    assert not any(b"w@rd" in data or b"w%40rd" in data for data in stored)


def test_other_platforms_are_refused_or_served_by_pure_wheels(place: Workplace) -> None:
    """A machine builds for its own; what comes out pure is for all platforms of the spec."""
    make_project(place.folder / "lib")
    foreign = Target(ELSEWHERE, PYTHON, "/usr/bin/python3", "2.36")
    with pytest.raises(LockError, match=f"can't do for {ELSEWHERE}") as caught:
        place.resolve("./lib", target=foreign, platform=ELSEWHERE)
    assert "lock and build on such a machine" in str(caught.value.hint)
    both = f"{HERE},{ELSEWHERE}"
    assert place.resolve("./lib", platform=both) == place.resolve(
        "./lib", target=foreign, platform=both
    )
    minor = f"cp{sys.version_info.major}{sys.version_info.minor}"
    native = f"thing-1.0-{minor}-{minor}-linux_{platform.machine()}.whl"
    make_project(place.folder / "lib", filename=native)
    assert place.resolve("./lib", platform=both)[0].filename == native
    with pytest.raises(LockError, match=f"does not run on {ELSEWHERE}"):
        place.resolve("./lib", target=foreign, platform=both)


def test_an_older_base_is_refused_what_needs_this_glibc(place: Workplace) -> None:
    """And gets what needs none."""
    minor = f"cp{sys.version_info.major}{sys.version_info.minor}"
    old = Target(HERE, PYTHON, "/usr/bin/python3", "2.28")
    make_project(place.folder / "pure", "pure")
    assert place.resolve("./pure", target=old)
    native = f"thing-1.0-{minor}-{minor}-linux_{platform.machine()}.whl"
    make_project(place.folder / "lib", filename=native)
    with pytest.raises(LockError, match=rf"needs glibc {glibc()}, and the base has 2\.28"):
        place.resolve("./lib", target=old)


def test_a_python_that_is_not_here_is_named(place: Workplace) -> None:
    """With how to get it."""
    make_project(place.folder / "lib")
    with pytest.raises(LockError, match=r"building for Python 3\.9 needs it") as caught:
        place.resolve("./lib", target=Target(HERE, "3.9.1", "/usr/bin/python3", glibc()))
    assert "uv python install" in str(caught.value.hint)


def test_a_backend_that_fails_is_heard(place: Workplace) -> None:
    """What it printed is in the error."""
    make_project(place.folder / "lib", extra="1/0")
    with pytest.raises(LockError, match=r"building \./lib: (.|\n)*ZeroDivisionError"):
        place.resolve("./lib")
    (place.folder / "empty").mkdir()
    with pytest.raises(LockError, match="is no Python project"):
        place.resolve("./empty")


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("sdist", {"name": "thing-1.0.tar.gz", "url": "https://host.example/thing-1.0.tar.gz"}),
        ("archive", {"path": "./thing.zip"}),
        ("directory", {"path": "./lib", "subdirectory": "x"}),
        ("vcs", {"type": "git", "url": "https://host.example/x", "requested-revision": "v1"}),
    ],
)
def test_locks_say_what_wheels_are_built_from(kind: str, table: Mapping[str, str]) -> None:
    """In the tables of PEP 751, so that other tools build them too."""
    commit_id, sha256 = "c" * 40, "a" * 64
    digests = {"vcs": commit_id, "directory": f"sha256:{sha256}"}
    built = BuiltFrom(
        kind,  # type: ignore[arg-type]
        table.get("url") or table["path"],
        digests.get(kind, sha256),
        table.get("requested-revision", ""),
        table.get("subdirectory", ""),
        ("setuptools==1 --hash=sha256:0",),
    )
    wheel = LockedWheel("thing", "1.0", "thing-1.0-py3-none-any.whl", sha256, 7, None, built)
    lock = Lock("x", TARGET, {"kind": "oci"}, (wheel,), None, "0")
    text = file.dumps([lock])
    assert file.loads(text, source="lock") == (lock,)
    for key, value in table.items():
        assert f'{key} = "{value}"' in text
    with pytest.raises(LockError, match="is not as it should be"):
        file.loads(text.replace(commit_id, "main").replace(sha256, "main"), source="lock")


def _git() -> str:
    found = shutil.which("git")
    assert found is not None
    return found
