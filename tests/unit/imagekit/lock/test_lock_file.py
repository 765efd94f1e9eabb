# SPDX-License-Identifier: Apache-2.0
"""The lock as a file: what is written is read back, and nothing else is believed."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.pylock import Pylock, is_valid_pylock_path

from imagekit.errors import LockError
from imagekit.lock import document, file
from imagekit.lock.model import Lock, LockedWheel, RuntimePin, Target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

WHEELS = (
    LockedWheel(
        "numpy",
        "2.4.6",
        "numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl",
        "a" * 64,
        16918164,
        "https://files.example/numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl",
    ),
    LockedWheel("ruamel-yaml", "0.18", "ruamel.yaml-0.18-py3-none-any.whl", "b" * 64),
)
LOCK = Lock(
    spec_digest="sha256:" + "1" * 64,
    target=Target("linux/amd64", "3.11.2", "/usr/bin/python3.11", "2.36"),
    base={"kind": "debian", "release": "bookworm", "packages": [{"name": "dash", "size": 1}]},
    packages=WHEELS,
    runtime=RuntimePin("0.1.0+abc", "c" * 64),
    uv_version="0.13.9",
)


@pytest.mark.parametrize(
    ("spec", "lock"),
    [
        ("spec.yaml", "pylock.toml"),
        ("spec.yml", "pylock.toml"),
        ("iris.yaml", "pylock.iris.toml"),
        ("my image.v2.yaml", "pylock.my-image-v2.toml"),
    ],
)
def test_a_lock_stands_beside_its_spec(spec: Any, lock: Any) -> None:
    """Its name follows from the spec's, within PEP 751's rules."""
    path = file.lock_path(Path("folder") / spec)
    assert path == Path("folder") / lock
    assert is_valid_pylock_path(path)


@pytest.mark.parametrize("lock", [LOCK, dataclasses.replace(LOCK, packages=(), runtime=None)])
def test_a_lock_is_read_as_it_was_written(lock: Any) -> None:
    """Reading reverses writing."""
    assert file.loads(file.dumps([lock]), source="x") == (lock,)


def test_the_locks_of_all_platforms_are_one_pylock() -> None:
    """A wheel that all take stands there once, another one says for which machine it is."""
    numpy, pure = WHEELS
    other = dataclasses.replace(
        numpy,
        filename="numpy-2.4.6-cp311-cp311-manylinux_2_28_aarch64.whl",
        sha256="d" * 64,
        url="https://files.example/numpy-2.4.6-cp311-cp311-manylinux_2_28_aarch64.whl",
    )
    arm = dataclasses.replace(
        LOCK,
        target=dataclasses.replace(LOCK.target, platform="linux/arm64"),
        base={"kind": "debian", "release": "bookworm", "packages": []},
        packages=(other, pure),
    )
    text = file.dumps([LOCK, arm])
    assert file.loads(text, source="x") == (LOCK, arm)
    assert text == file.dumps(file.loads(text, source="x"))
    pylock = Pylock.from_dict(tomllib.loads(text))
    assert [(each.name, str(each.marker)) for each in pylock.packages] == [
        ("numpy", 'platform_machine == "aarch64"'),
        ("numpy", 'platform_machine == "x86_64"'),
        ("ruamel-yaml", "None"),
    ]


@pytest.mark.parametrize("marker", ["platform_machine == 'sparc'", "os_name == 'posix'"])
def test_a_marker_that_we_do_not_write_is_refused(marker: str) -> None:
    """What it leaves out is not guessed."""
    text = _changed('version = "0.18"', f'version = "0.18"\nmarker = "{marker}"')
    with pytest.raises(LockError, match="marker"):
        file.loads(text, source="pylock.toml")


def test_a_lock_is_a_pylock() -> None:
    """Other tools that know PEP 751 read ours."""
    pylock = Pylock.from_dict(tomllib.loads(file.dumps([LOCK])))
    assert [package.name for package in pylock.packages] == ["numpy", "ruamel-yaml"]
    assert pylock.created_by == "imagekit"


def test_a_lock_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """No other file is left beside it, and an old one is replaced."""
    path = tmp_path / "pylock.toml"
    path.write_text("old")
    file.write(path, [LOCK])
    assert file.read(path) == (LOCK,)
    assert os.listdir(tmp_path) == ["pylock.toml"]


def test_no_file_is_no_lock(tmp_path: Path) -> None:
    """A missing lock is None, not an error."""
    assert file.read(tmp_path / "pylock.toml") is None


def _changed(old: str, new: str) -> str:
    text = file.dumps([LOCK])
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not toml", "is not TOML"),
        ('lock-version = "1.0"\n', "was not made by imagekit"),
        (_changed("format = 2", "format = 3"), "this imagekit reads format 2"),
        (_changed('"' + "a" * 64, '"../../x'), "sha256 '../../x' is not as it should be"),
        (_changed("numpy-2.4.6-cp311", "../numpy-2.4.6-cp311"), "numpy"),
        (_changed('name = "ruamel-yaml"', 'name = "other"'), "is no wheel of other"),
        (_changed('version = "2.4.6"', 'version = "2.4.5"'), "is not version 2.4.5"),
        (_changed('"linux/amd64"', '"linux/s390x"'), "platform 'linux/s390x' is not known"),
        (_changed('"3.11.2"', '"3.11"'), "version '3.11' is not as it should be"),
        (_changed('glibc = "2.36"', "glibc = 2.36"), "glibc is missing or no str"),
        (_changed("manylinux_2_28_x86_64.whl", "manylinux_2_28_aarch64.whl"), "does not run on"),
        (_changed("size = 16918164", 'size = "many"'), "size is missing or no int"),
    ],
)
def test_a_damaged_lock_is_refused(text: Any, message: Any) -> None:
    """Nothing of a lock is believed that is not as we write it."""
    with pytest.raises(LockError, match=message):
        file.loads(text, source="pylock.toml")


def test_the_digest_is_of_what_reaches_the_image() -> None:
    """Hints, sizes and the tool that resolved are no part of it; everything else is."""

    def other(**changes: Any) -> Any:
        return dataclasses.replace(LOCK, **changes).digest

    moved = tuple(dataclasses.replace(each, url=None, size_bytes=None) for each in WHEELS)
    assert other(packages=moved, uv_version="9", spec_digest="x") == LOCK.digest
    assert other(base={**LOCK.base, "released": {"bookworm": "today"}}) == LOCK.digest
    assert other(base={**LOCK.base, "distributions": {"six": "1.16.0"}}) == LOCK.digest
    assert other(packages=WHEELS[:1]) != LOCK.digest
    assert other(runtime=None) != LOCK.digest
    assert other(base={**LOCK.base, "release": "trixie"}) != LOCK.digest
    assert other(target=dataclasses.replace(LOCK.target, python_version="3.11.3")) != LOCK.digest


@pytest.mark.parametrize("kept", [None, b"{", b"\xff"])
def test_a_lock_read_before_is_read_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bytes | None
) -> None:
    """What the cache keeps of it says the same; where that is damaged, the lock is read anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = file.dumps([LOCK])
    document.parse.cache_clear()
    assert (LOCK,) == file.loads(text, source="lock")
    (path,) = (tmp_path / "imagekit/locks").iterdir()
    if kept is not None:
        path.chmod(0o644)
        path.write_bytes(kept)
    document.parse.cache_clear()
    assert (LOCK,) == file.loads(text, source="lock")


def test_a_lock_with_dates_is_none_of_ours_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what has no place in JSON nothing is kept, and it is refused each time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        document.parse.cache_clear()
        with pytest.raises(LockError, match="not made by imagekit"):
            file.loads("when = 2026-01-01\n", source="lock")
    assert not list((tmp_path / "imagekit").glob("locks/*"))
