# SPDX-License-Identifier: Apache-2.0
"""What a program changed, found by comparing a root with a copy of it that was worked on."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.errors import BuildError
from imagekit.jobs.capture import Roots, capture
from imagekit.layers.writer import LayerWriter
from imagekit.oci.unpack import unpack
from tests.fakes.images import image_of, make_layer


def make_root(root: Path) -> Path:
    for folder in ("etc", "usr/share", "var/lib"):
        (root / folder).mkdir(parents=True)
    (root / "etc/one").write_text("one")
    (root / "etc/two").write_text("two")
    (root / "usr/share/data").write_text("data")
    (root / "usr/link").symlink_to("share/data")
    return root


class Worked:
    """A root, its copy after `work`, and the layer of the difference."""

    def __init__(
        self, folder: Path, work: Callable[[Path], object], *, left_out: frozenset[bytes]
    ) -> None:
        self.before = make_root(folder / "before")
        self.after = folder / "after"
        shutil.copytree(self.before, self.after, symlinks=True)
        (folder / "marker").touch()
        started_ns = (folder / "marker").stat().st_ctime_ns
        time.sleep(0.02)  # the clock of file systems is coarse
        work(self.after)
        roots = Roots(self.before, self.after, started_ns, left_out.__contains__)
        self.paths: list[str] = []
        self.layer = make_layer(folder, lambda writer: capture(roots, self._noting(writer)))

    def _noting(self, writer: LayerWriter) -> LayerWriter:
        self._writer = writer
        return writer

    @property
    def members(self) -> set[str]:
        return set(self._writer._owners)


def worked(
    folder: Path, work: Callable[[Path], object], left_out: frozenset[bytes] = frozenset()
) -> Worked:
    return Worked(folder, work, left_out=left_out)


def listing(root: Path) -> dict[str, tuple[str, int, str]]:
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else ""
        content = path.read_text() if stat.S_ISREG(status.st_mode) else content
        mode = 0 if path.is_symlink() else stat.S_IMODE(status.st_mode)
        found[str(path.relative_to(root))] = (stat.filemode(status.st_mode)[0], mode, content)
    return found


def _everything(root: Path) -> None:
    (root / "etc/one").write_text("1ne")
    (root / "etc/two").unlink()
    (root / "etc/two").mkdir(mode=0o700)
    (root / "etc/two/inner").write_text("x")
    shutil.rmtree(root / "usr/share")
    (root / "usr/share").write_text("a file now")
    (root / "usr/link").unlink()
    (root / "usr/link").symlink_to("nowhere")
    (root / "var/lib").chmod(0o750)
    (root / "etc/a").write_text("twin")
    os.link(root / "etc/a", root / "var/b")


def test_the_layer_over_the_root_before_is_the_root_after(tmp_path: Path) -> None:
    """Changed, replaced, retargeted, deleted, linked, and given other modes."""
    result = worked(tmp_path, _everything)
    before = make_layer(tmp_path, lambda writer: _write(result.before, writer))
    applied = tmp_path / "applied"
    applied.mkdir()
    unpack(image_of(before, result.layer), applied)
    assert listing(applied) == listing(result.after)
    assert (applied / "etc/a").samefile(applied / "var/b")


def test_what_was_touched_and_is_the_same_is_no_change(tmp_path: Path) -> None:
    """Nor is what was left alone; parents of a change come with it."""

    def work(root: Path) -> None:
        (root / "etc/one").write_text("one")
        (root / "usr/link").unlink()
        (root / "usr/link").symlink_to("share/data")
        (root / "var/lib/new").write_text("")

    assert worked(tmp_path, work).members == {"var", "var/lib", "var/lib/new"}


def test_what_is_left_out_is_neither_written_nor_whited_out(tmp_path: Path) -> None:
    """With all that is below it."""

    def work(root: Path) -> None:
        shutil.rmtree(root / "usr")
        (root / "etc/one").write_text("other")

    left_out = frozenset({b"usr", b"etc/one"})
    assert worked(tmp_path, work, left_out).members == set()


def test_a_pipe_is_refused_by_name(tmp_path: Path) -> None:
    """Layers hold files, folders and links."""
    with pytest.raises(BuildError, match="/etc/pipe is a device or a pipe"):
        worked(tmp_path, lambda root: os.mkfifo(root / "etc/pipe"))


def _write(root: Path, writer: LayerWriter) -> None:
    """A layer of a whole root."""
    empty = root.parent / "empty"
    empty.mkdir()
    capture(Roots(empty, root, 0, lambda _: False), writer)
