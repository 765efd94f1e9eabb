# SPDX-License-Identifier: Apache-2.0
"""When a lock is made, kept, refused; on a base that lies in a folder, so without network."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from imagekit.errors import LockError
from imagekit.lock.ensure import ensure_lock
from imagekit.lock.file import lock_path, read
from imagekit.lock.model import Lock, RuntimePin
from imagekit.lock.refresh import refresh_lock
from imagekit.oci import digest
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.layer import FileLayer
from imagekit.oci.layout import write_layout
from imagekit.progress import Silent
from imagekit.spec.load import load_spec

RUNTIME = RuntimePin("0+abc", "a" * 64)
OTHER = RuntimePin("0+def", "b" * 64)
OF_OTHERS = 'lock-version = "1.0"\ncreated-by = "other"\npackages = []\n'


def _write_base(folder: Path, python: str) -> str:
    """An image with just enough in it to be a base; returns its digest."""
    files = {
        "usr/local/bin/python3": f"\0{python}\0",
        f"usr/local/bin/python{python.rpartition('.')[0]}": f"\0{python}\0",
        "usr/lib/libc.so.6": "stable release version 2.31.",
    }
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content.encode()))
    data = gzip.compress(raw.getvalue(), mtime=0)
    path = folder / "layer"
    path.write_bytes(data)
    layer = FileLayer(digest.of_bytes(data), digest.of_bytes(raw.getvalue()), len(data), path)
    image = assemble(
        None,
        [Addition(layer, "base")],
        Settings(environment={"PATH": "/usr/local/bin:/usr/bin"}),
        platform=Platform(),
    )
    write_layout(image, folder / "base")
    return image.digest


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A spec on such a base, without packages."""
    _write_base(tmp_path, "3.11.4")
    path = tmp_path / "spec.yaml"
    path.write_text(
        "name: x\nbase_image: oci:base\npython_version: '3.11'\nobject_storage: false\n"
    )
    return path


def _ensure(path: Path, *, locked: bool = False, runtime: RuntimePin = RUNTIME) -> Lock:
    spec = load_spec(path)
    (lock,) = ensure_lock(
        spec, path, locked=locked, runtime=runtime, progress=Silent(), environ={"PATH": ""}
    )
    return lock


def test_a_build_makes_the_lock_that_is_missing(spec: Path) -> None:
    """It holds what was found in the base, and stands beside the spec."""
    lock = _ensure(spec)
    assert lock_path(spec).exists()
    assert (lock.target.python_version, lock.target.glibc) == ("3.11.4", "2.31")
    assert lock.target.python_path == "/usr/local/bin/python3.11"
    assert lock.base["digest"].startswith("sha256:")
    assert lock.base["reference"] == "oci:base"
    assert lock.runtime == RUNTIME


def test_a_lock_that_belongs_to_its_spec_is_taken_as_it_is(spec: Path) -> None:
    """Nothing looks at the base again, and nothing is written."""
    made = _ensure(spec)
    before = lock_path(spec).stat()
    (spec.parent / "base" / "index.json").unlink()
    assert _ensure(spec, locked=True) == made
    assert lock_path(spec).stat().st_mtime_ns == before.st_mtime_ns


def test_locked_does_not_make_one(spec: Path) -> None:
    """The error names the command that does."""
    with pytest.raises(LockError, match=r"there is no .*pylock\.toml") as caught:
        _ensure(spec, locked=True)
    assert caught.value.hint == f"run `imagekit lock {spec}`"
    assert not lock_path(spec).exists()


def test_a_stale_lock_is_an_error_and_stays(spec: Path) -> None:
    """Building never changes a lock behind one's back."""
    _ensure(spec)
    before = lock_path(spec).read_bytes()
    spec.write_text(spec.read_text() + "packages: [numpy]\n")
    with pytest.raises(LockError, match="does not belong to") as caught:
        _ensure(spec)
    assert caught.value.hint == f"run `imagekit lock {spec}`"
    assert lock_path(spec).read_bytes() == before


def test_what_does_not_decide_a_resolution_keeps_the_lock(spec: Path) -> None:
    """Environment and name may change."""
    made = _ensure(spec)
    spec.write_text(spec.read_text().replace("name: x", "name: y\nenv: {A: b}"))
    assert _ensure(spec, locked=True) == made


def test_another_runtime_than_the_locked_is_an_error(spec: Path) -> None:
    """Another imagekit would make another image."""
    _ensure(spec)
    with pytest.raises(LockError, match=r"pins the runtime 0\+abc .* carries 0\+def"):
        _ensure(spec, runtime=OTHER)


def test_a_refresh_takes_the_base_and_the_runtime_of_today(spec: Path) -> None:
    """`imagekit lock` is the way out of all of these errors."""
    first = _ensure(spec)
    _write_base(spec.parent, "3.11.9")
    (second,) = refresh_lock(
        load_spec(spec), spec, upgrade=False, runtime=OTHER, progress=Silent(), environ={}
    )
    assert second.target.python_version == "3.11.9"
    assert second.runtime == OTHER
    assert second.digest != first.digest
    assert _ensure(spec, runtime=OTHER) == second


def test_a_lock_of_another_tool_is_left_alone(spec: Path) -> None:
    """Somebody's own pylock.toml is not ours to write: the spec's gets the spec's name."""
    others = spec.with_name("pylock.toml")
    others.write_text(OF_OTHERS)
    lock = _ensure(spec)
    own = spec.with_name("pylock.spec.toml")
    assert (lock_path(spec), read(own)) == (own, (lock,))
    assert _ensure(spec) == lock
    assert others.read_text() == OF_OTHERS
    others.unlink()
    assert lock_path(spec) == own


@pytest.mark.parametrize("text", [OF_OTHERS, "", "no lock"])
def test_what_stands_where_the_lock_belongs_is_never_overwritten(spec: Path, text: str) -> None:
    """A file that is none of ours is an error, which names a way out."""
    named = spec.rename(spec.with_name("named.yaml"))
    lock_path(named).write_text(text)
    for make in (_ensure, _refreshed):
        with pytest.raises(LockError) as caught:
            make(named)
        assert str(lock_path(named)) in caught.value.message
    assert lock_path(named).read_text() == text


def test_a_spec_does_not_require_its_own_lock(spec: Path) -> None:
    """It would be another one each time that it is made."""
    _ensure(spec)
    spec.write_text(spec.read_text() + "requirements: pylock.toml\n")
    with pytest.raises(LockError, match=r"pylock\.toml is the lock of .*spec\.yaml itself"):
        _refreshed(spec)


def _refreshed(path: Path) -> Lock:
    spec = load_spec(path)
    (lock,) = refresh_lock(
        spec, path, upgrade=True, runtime=None, progress=Silent(), environ={"PATH": ""}
    )
    return lock


def test_where_the_base_lies_does_not_change_what_the_image_is(spec: Path, tmp_path: Path) -> None:
    """The same base in another folder is the same lock to an image."""
    made = _ensure(spec)
    (tmp_path / "base").rename(tmp_path / "moved")
    spec.write_text(spec.read_text().replace("oci:base", "oci:moved"))
    (moved,) = refresh_lock(
        load_spec(spec), spec, upgrade=False, runtime=RUNTIME, progress=Silent(), environ={}
    )
    assert moved.spec_digest != made.spec_digest
    assert moved.digest == made.digest
