# SPDX-License-Identifier: Apache-2.0
"""uv resolves for the target, here from a folder of wheels instead of an index."""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from imagekit.errors import LockError, SpecError
from imagekit.lock.model import LockedWheel, Target
from imagekit.lock.resolve import resolve_packages
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.lock.uv import python_platform
from imagekit.progress import Silent
from imagekit.spec.model import ImageSpec

AMD64 = Target("linux/amd64", "3.11.2", "/usr/bin/python3.11", "2.36")
ARM64 = Target("linux/arm64", "3.13.5", "/usr/bin/python3.13", "2.41")


def _wheel(folder: Path, filename: str, *requires: str) -> str:
    """Make the smallest wheel of that name; returns its sha256."""
    name, version, *_ = filename.split("-")
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {each}\n" for each in requires)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / filename, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{info}/METADATA"), metadata)
        archive.writestr(zipfile.ZipInfo(f"{info}/WHEEL"), "Wheel-Version: 1.0\n")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "")
    return hashlib.sha256((folder / filename).read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path) -> Any:
    """A folder of wheels that stands for an index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    _wheel(folder, "pure-1.0-py3-none-any.whl")
    _wheel(folder, "pure-1.1-py3-none-any.whl")
    for machine in ("x86_64", "aarch64"):
        _wheel(folder, f"native-2.0-cp311-cp311-manylinux_2_28_{machine}.whl", "pure")
        _wheel(folder, f"native-2.0-cp313-cp313-manylinux_2_28_{machine}.whl", "pure>=1.1")
    _wheel(folder, "native-1.0-py3-none-any.whl")
    _wheel(folder, "windows-1.0-py3-none-win_amd64.whl")
    _wheel(folder, "sneaky-1.0-py3-none-any.whl", "Django-ImageKit")
    _wheel(folder, "django_imagekit-5.0-py3-none-any.whl")
    _wheel(folder, "dependent-1.0-py3-none-any.whl", "source")
    (folder / "source-1.0.tar.gz").write_bytes(b"")
    return folder


@pytest.fixture
def resolve(index: Path, tmp_path: Path) -> Any:
    # uv's own configuration beside the spec is in force, as for any uv command there.
    (tmp_path / "uv.toml").write_text(f'no-index = true\nfind-links = ["{index}"]\n')
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    def run(target: Target = AMD64, preferences: Any = (), **fields: Any) -> Any:
        spec = ImageSpec(**{"object_storage": False, **fields})
        sources = SourceBuilder(spec, tmp_path, Silent(), environ)
        return resolve_packages(
            spec, tmp_path, target, preferences=preferences, sources=sources, environ=environ
        )

    return run


def _files(wheels: Any) -> list[str]:
    return [wheel.filename for wheel in wheels]


def test_wheels_are_those_of_the_target_not_of_this_machine(resolve: Any) -> None:
    """Another Python and another processor get their own."""
    assert _files(resolve(packages=["native"])) == [
        "native-2.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        "pure-1.1-py3-none-any.whl",
    ]
    assert _files(resolve(ARM64, packages=["native"])) == [
        "native-2.0-cp313-cp313-manylinux_2_28_aarch64.whl",
        "pure-1.1-py3-none-any.whl",
    ]


def test_hashes_are_those_of_the_files(resolve: Any, index: Path) -> None:
    """A lock holds what the wheel's bytes hash to, and where it was."""
    (wheel,) = resolve(packages=["pure"])
    content = (index / wheel.filename).read_bytes()
    assert wheel.sha256 == hashlib.sha256(content).hexdigest()
    assert wheel.url == (index / wheel.filename).as_uri()


def test_markers_are_the_targets(resolve: Any) -> None:
    """A requirement for another Python or machine is none."""
    assert _files(
        resolve(
            ARM64,
            packages=[
                "pure==1.0; platform_machine == 'aarch64' and python_full_version >= '3.13.5'",
                "native; python_version < '3.12'",
            ],
        )
    ) == ["pure-1.0-py3-none-any.whl"]


def test_nothing_asked_is_nothing_locked(resolve: Any) -> None:
    """No packages need no resolver."""
    assert resolve() == ()


def test_the_client_of_object_stores_comes_along(resolve: Any, index: Path) -> None:
    """Unless it is told not to, or the spec names a version of its own; and the error says so."""
    with pytest.raises(LockError, match="obstore") as caught:
        resolve(packages=["pure"], object_storage=True)
    assert "`object_storage: false` leaves it out" in str(caught.value.hint)
    for version in ("0.5", "0.6"):
        _wheel(index, f"obstore-{version}-py3-none-any.whl")
    assert _files(resolve(object_storage=True)) == ["obstore-0.6-py3-none-any.whl"]
    assert _files(resolve(packages=["Obstore<0.6"], object_storage=True)) == [
        "obstore-0.5-py3-none-any.whl"
    ]


def test_earlier_versions_are_kept_where_they_fit(resolve: Any) -> None:
    """A refresh changes no more than it must."""
    earlier = LockedWheel("pure", "1.0", "pure-1.0-py3-none-any.whl", "0" * 64)
    assert _files(resolve(packages=["pure"], preferences=[earlier])) == [earlier.filename]
    assert _files(resolve(packages=["pure>1.0"], preferences=[earlier])) == [
        "pure-1.1-py3-none-any.whl"
    ]


def test_a_requirements_file_adds_to_the_packages(resolve: Any, tmp_path: Path) -> None:
    """Both are resolved together."""
    (tmp_path / "requirements.txt").write_text("pure<1.1\n")
    assert _files(resolve(packages=["native<2"], requirements="requirements.txt")) == [
        "native-1.0-py3-none-any.whl",
        "pure-1.0-py3-none-any.whl",
    ]


def test_hashes_in_a_requirements_file_are_held_to(
    resolve: Any, index: Path, tmp_path: Path
) -> None:
    """A wheel with another hash than the listed ones is refused."""
    path = tmp_path / "requirements.txt"
    good = hashlib.sha256((index / "pure-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    path.write_text(f"pure==1.0 --hash=sha256:{'0' * 64} --hash=sha256:{good}\n")
    assert _files(resolve(requirements="requirements.txt")) == ["pure-1.0-py3-none-any.whl"]
    path.write_text(f"pure==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(LockError, match=r"pure 1\.0: no wheel has a hash that"):
        resolve(requirements="requirements.txt")


def test_a_wheel_by_url_is_locked(resolve: Any, index: Path) -> None:
    """NAME @ URL takes that very file."""
    place = (index / "pure-1.0-py3-none-any.whl").as_uri()
    (wheel,) = resolve(packages=[f"pure @ {place}"])
    assert (wheel.name, wheel.version, wheel.url) == ("pure", "1.0", place)


def test_a_conflict_is_told_in_uvs_words(resolve: Any) -> None:
    """The resolver knows best why nothing fits."""
    with pytest.raises(LockError, match="you require pure==2") as caught:
        resolve(packages=["pure==2"])
    assert "linux/amd64, Python 3.11, glibc 2.36" in str(caught.value.hint)


def test_a_package_with_sources_alone_is_named(resolve: Any) -> None:
    """In one line, with what would have it built; who asks for it is told in uv's words."""
    with pytest.raises(LockError) as caught:
        resolve(packages=["source"])
    line = "source: only source, no wheel for linux/amd64, Python 3.11, glibc 2.36, of any version"
    assert caught.value.message == f"{line} that fits"
    assert str(caught.value.hint).startswith("`allow_build: [source]` has it built here")
    with pytest.raises(LockError) as caught:
        resolve(packages=["dependent"])
    assert caught.value.message.startswith(line)
    assert "all versions of dependent depend on source" in caught.value.message


def test_a_package_without_a_wheel_for_the_target_is_an_error(resolve: Any) -> None:
    """A wheel for another system is no wheel."""
    with pytest.raises(LockError, match="windows"):
        resolve(packages=["windows"])


def test_what_would_overwrite_the_runtime_is_refused_when_it_comes_along(resolve: Any) -> None:
    """Also a package that nobody named."""
    with pytest.raises(LockError, match="django-imagekit can't be in a task image"):
        resolve(packages=["sneaky"])


def test_credentials_reach_neither_argument_list_nor_error(tmp_path: Path) -> None:
    """An index that can't be reached is told without the password that was meant for it."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "UV_HTTP_RETRIES": "0"}
    spec = ImageSpec(packages=["pure"], pip_index="http://user:hunter2@127.0.0.1:9/simple")
    with pytest.raises(LockError) as caught:
        resolve_packages(
            spec,
            tmp_path,
            AMD64,
            preferences=(),
            sources=SourceBuilder(spec, tmp_path, Silent(), environ),
            environ=environ,
        )
    assert "127.0.0.1:9" in str(caught.value)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_unusable_requirements_files_do_not_reach_uv(resolve: Any, tmp_path: Path) -> None:
    """The line is named instead."""
    (tmp_path / "requirements.txt").write_text("-e .\n")
    with pytest.raises(SpecError, match=r"requirements\.txt:1: '-e \.'"):
        resolve(requirements="requirements.txt")


@pytest.mark.parametrize(
    ("glibc", "name"),
    [
        ("2.17", "x86_64-manylinux_2_17"),
        ("2.30", "x86_64-manylinux_2_28"),
        ("2.36", "x86_64-manylinux_2_36"),
        ("2.99", "x86_64-manylinux_2_40"),
    ],
)
def test_uv_is_told_the_newest_glibc_that_both_know(glibc: Any, name: Any) -> None:
    """Never a newer one than the base has."""
    assert python_platform(Target("linux/amd64", "3.11.2", "/x", glibc)) == name


def test_a_glibc_too_old_for_wheels_is_an_error() -> None:
    """There would be nothing to choose from."""
    with pytest.raises(LockError, match="too old"):
        python_platform(Target("linux/amd64", "3.11.2", "/x", "2.12"))
