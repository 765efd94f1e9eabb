# SPDX-License-Identifier: Apache-2.0
"""A spec's folder on a base of one file, with wheels made here and caches of its own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from imagekit.builders.build import build
from imagekit.builders.model import Built
from imagekit.builders.options import Options
from imagekit.builders.runtime import runtime_pin
from imagekit.layers.cache import LayerCache
from imagekit.lock import file
from imagekit.lock.model import Lock, LockedWheel, Target
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.index import ImageIndex
from imagekit.oci.layout import write_layout
from imagekit.progress import Progress, Silent
from imagekit.spec.model import PLATFORMS, ImageSpec
from tests.fakes.wheels import make_wheel

PLATFORM = Platform.of_this_machine()
OTHER = next(p for p in map(Platform.parse, PLATFORMS) if p != PLATFORM)


class Project:
    """A folder with a spec, a base in an OCI layout, and wheels; caches of its own."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.cache = root / "cache"
        monkeypatch.setenv("XDG_CACHE_HOME", str(self.cache))
        monkeypatch.setenv("XDG_DATA_HOME", str(root / "data"))
        layer = LayerCache().make("base", lambda writer: writer.file("etc/base", b"base"))
        base = assemble(None, [Addition(layer, "base")], Settings(), platform=PLATFORM)
        other = assemble(None, [Addition(layer, "base")], Settings(), platform=OTHER)
        write_layout(ImageIndex((base, other)), root / "base")
        self.digests = {PLATFORM: base.digest, OTHER: other.digest}
        self.section = {"kind": "oci", "reference": "oci:base", "digest": base.digest, "passwd": ""}
        (root / "src").mkdir()
        (root / "src" / "task.py").write_text("x = 1")
        self.path = root / "spec.yaml"
        self.spec = ImageSpec(name="thing", source_root="src", compile_bytecode=False)

    def build(self, *packages: LockedWheel, to: tuple[str, ...] = ()) -> Built:
        return self.build_all({PLATFORM: packages}, to)

    def build_all(
        self, packages: Mapping[Platform, Sequence[LockedWheel]], to: tuple[str, ...] = ()
    ) -> Built:
        """For each platform, its packages."""
        locks = self.locks(packages)
        return build(self.spec, self.path, locks, to, Silent())

    def locks(self, packages: Mapping[Platform, Sequence[LockedWheel]]) -> list[Lock]:
        locks = []
        for platform, wheels in packages.items():
            target = Target(str(platform), "3.11.2", "/usr/bin/python3", "2.36")
            section = self.section
            if platform != PLATFORM:
                section = {**section, "digest": self.digests[platform]}
            locks.append(Lock("sha256:0", target, section, tuple(wheels), runtime_pin(), "0"))
        return locks

    def write_lock(self, *packages: LockedWheel) -> None:
        """Put a lock beside the spec, as if it had been made."""
        file.write(file.lock_path(self.path), self.locks({PLATFORM: packages}))

    def lock(self) -> Lock:
        (found,) = file.read(file.lock_path(self.path)) or ()
        return found

    def build_locked(
        self, *to: str, options: Options | None = None, progress: Progress | None = None
    ) -> Built:
        """Build from the lock beside the spec, which stays as it is unless `options` say else."""
        chosen = options or Options(remember=False)
        return build(self.spec, self.path, [self.lock()], to, progress or Silent(), chosen)

    def forget_layers(self) -> None:
        """Become a machine that has built nothing; this process has made its runtime already."""
        for entry in (self.cache / "imagekit").iterdir():
            if entry.is_dir() and entry.name != "runtime":
                shutil.rmtree(entry)

    def forget(self) -> None:
        """Become one that has built nothing and reaches no package index."""
        self.forget_layers()
        shutil.rmtree(self.root / "index", ignore_errors=True)

    def wheel(self, name: str, version: str = "1.0", module: str = "") -> LockedWheel:
        """A distribution with one package, of its own name unless `module` is another."""
        folder = self.root / "index"
        folder.mkdir(exist_ok=True)
        content = f"name = {name!r}".encode()
        files = {f"{module or name}/__init__.py": content}
        made = make_wheel(folder, files, name=name, version=version)
        size_bytes = made.path.stat().st_size
        url = made.path.as_uri()
        return LockedWheel(name, version, made.filename, made.sha256, size_bytes, url)
