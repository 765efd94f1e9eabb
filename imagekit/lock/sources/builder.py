# SPDX-License-Identifier: Apache-2.0
"""From source to a wheel in the cache: once for the lock, and again where that wheel is missing."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import final

from packaging.utils import canonicalize_name, parse_wheel_filename

from imagekit.errors import IntegrityError, LockError
from imagekit.fetch import cached, fetch, fetch_small
from imagekit.files import sha256_of
from imagekit.lock import uv
from imagekit.lock.model import BuiltFrom, LockedWheel, Target
from imagekit.lock.sources import git
from imagekit.lock.sources.archive import unpack
from imagekit.lock.sources.backend import Backend, declared_name, is_project
from imagekit.lock.sources.host import refuse_foreign_wheel, refuse_other_platforms
from imagekit.oci.scratch import scratch_directory
from imagekit.paths import cache_directory
from imagekit.progress import Progress, watched
from imagekit.spec.addresses import addresses
from imagekit.spec.model import ImageSpec
from imagekit.spec.source import Source
from imagekit.spec.source_tree import members, tree_digest
from imagekit.urls import with_credentials
from imagekit.values import frozen

_Obtain = Callable[[Path], Path]
"""Puts the project into a folder that is made by it, and returns the project's root."""


@frozen
class _Wanted:
    """What is built: `name` of the distribution where it is known, else empty."""

    what: str
    name: str
    subdirectory: str
    obtain: _Obtain


@final
class SourceBuilder:
    """Builds for the images of one spec, one wheel at a time. Any thread may ask."""

    def __init__(
        self,
        spec: ImageSpec,
        folder: Path,
        progress: Progress,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Begin; nothing is built yet. Paths of `spec` are relative to `folder`."""
        self._spec = spec
        self._folder = folder
        self._progress = progress
        self._environ = environ
        self._variables = uv.variables(environ, spec.pip_index, spec.pip_extra_index_url)
        self._guard = threading.Lock()
        self._made: dict[str, LockedWheel] = {}

    def allows(self, name: str) -> bool:
        """Whether the spec lets the distribution of that name be built."""
        allowed = self._spec.allow_build
        if isinstance(allowed, bool):
            return allowed
        return canonicalize_name(name) in map(canonicalize_name, allowed)

    def refuse_elsewhere(self, what: str) -> None:
        """Raise LockError where this machine is none of the spec's platforms."""
        refuse_other_platforms(what, self._spec.platforms)

    def lock(self, source: Source, target: Target) -> LockedWheel:
        """The wheel of a source that the spec names, in the cache.

        Raises:
            LockError: it may not be built, or can't be, or would not run on `target`.
            FetchError: it can't be fetched.
            IntegrityError: it is not what it should be, or hostile.
        """
        return self._once(
            source.canonical, str(source), target, lambda: self._locked(source, target)
        )

    def lock_sdist(
        self, name: str, version: str, url: str, sha256: str, target: Target
    ) -> LockedWheel:
        """The wheel of an index's sdist, in the cache. Raises as `lock` does."""
        built = BuiltFrom("sdist", url, sha256)
        what = f"{name} {version}"

        def made() -> LockedWheel:
            wheel = self._build(self._again(built, what, name), built, target)
            if wheel.version != version:
                raise LockError(f"{what}: its source says that it is version {wheel.version}")
            return wheel

        return self._once(f"sdist {sha256}", what, target, made)

    def rebuild(self, wheel: LockedWheel, target: Target) -> Path:
        """The file of a locked wheel, built again unless it is in the cache.

        Raises:
            IntegrityError: it comes out differently on this machine.
            LockError: it may not be built, or can't be.
            FetchError: what it is built from can't be fetched.
        """
        with self._guard:
            found = cached(wheel.sha256)
            if found is not None or wheel.built is None:
                return found or fetch([], sha256=wheel.sha256, size_bytes=None, name=wheel.filename)
            what = f"{wheel.name} {wheel.version}"
            refuse_other_platforms(what, self._spec.platforms)
            refuse_foreign_wheel(what, wheel.filename, target)
            wanted = self._again(wheel.built, what, wheel.name)
            made = self._build(wanted, wheel.built, target, requires=wheel.built.requires)
        if (made.filename, made.sha256) != (wheel.filename, wheel.sha256):
            raise IntegrityError(
                f"{what}: built here it is {made.filename} with sha256 {made.sha256}, the lock "
                f"says {wheel.filename} with {wheel.sha256}",
                hint="its backend does not leave the same wheel everywhere: push where the lock "
                "was made, so that the layer is taken from the registry, or lock here",
            )
        return fetch([], sha256=wheel.sha256, size_bytes=None, name=wheel.filename)

    def _once(
        self, key: str, what: str, target: Target, make: Callable[[], LockedWheel]
    ) -> LockedWheel:
        """What one platform had built, the next one takes if it can."""
        with self._guard:
            if key not in self._made:
                refuse_other_platforms(what, self._spec.platforms)
                self._made[key] = make()
        wheel = self._made[key]
        refuse_foreign_wheel(what, wheel.filename, target)
        return wheel

    def _locked(self, source: Source, target: Target) -> LockedWheel:
        built = self._identified(source)
        wanted = self._again(built, str(source), source.name, source.location)
        return self._build(wanted, built, target)

    def _identified(self, source: Source) -> BuiltFrom:
        """What exactly the source is now."""
        if not self.allows(source.name) and (source.name or not self._spec.allow_build):
            raise self._refusal(str(source))
        if source.kind == "vcs":
            repository = git.Repository.parse(source.location)
            digest = git.find_commit(repository, source.revision, self._environ)
        elif source.kind == "directory":
            if not is_project(self._folder / source.location / source.subdirectory):
                raise LockError(
                    f"{source.location} is no Python project",
                    hint="it needs a pyproject.toml or setup.py",
                )
            digest = tree_digest(self._folder / source.location)
        else:
            digest = self._archive_digest(source)
        return BuiltFrom(source.kind, source.public, digest, source.revision, source.subdirectory)

    def _archive_digest(self, source: Source) -> str:
        if source.is_path:
            sha256 = tree_digest(self._folder / source.location).removeprefix("sha256:")
        else:
            with scratch_directory(cache_directory() / "building") as scratch:
                path = scratch / "archive"
                path.write_bytes(fetch_small(source.location))
                sha256 = sha256_of(path)
                fetch([path.as_uri()], sha256=sha256, size_bytes=None, name=source.public)
        if source.sha256 not in ("", sha256):
            raise IntegrityError(f"{source}: sha256 is {sha256}, not {source.sha256}")
        return sha256

    def _again(self, built: BuiltFrom, what: str, name: str, location: str = "") -> _Wanted:
        """How to get at a source; `location` is the one with credentials where it is known."""
        known = () if location else addresses(self._spec, self._folder)
        if built.kind == "vcs":
            found = location or _repository_address(built.location, known)
            repository = git.Repository.parse(found)
            return _Wanted(what, name, built.subdirectory, self._checkout(repository, built.digest))
        if built.kind == "directory":
            return _Wanted(what, name, built.subdirectory, self._copy(built))
        if "://" in built.location:
            place = location or with_credentials(built.location, known)
        else:
            place = (self._folder / built.location).absolute().as_uri()
        return _Wanted(what, name, built.subdirectory, self._unpacked(built, place))

    def _checkout(self, repository: git.Repository, commit: str) -> _Obtain:
        def obtain(into: Path) -> Path:
            git.check_out(repository, commit, into, self._environ)
            return into

        return obtain

    def _copy(self, built: BuiltFrom) -> _Obtain:
        root = self._folder / built.location

        def obtain(into: Path) -> Path:
            into.mkdir()
            for each in members(root):
                place = into / each.path
                place.parent.mkdir(parents=True, exist_ok=True)
                if each.target:
                    place.symlink_to(each.target)
                else:
                    shutil.copyfile(each.place, place)
                    place.chmod(0o755 if each.executable else 0o644)
            if tree_digest(into) != built.digest:
                raise LockError(
                    f"{built.location} has changed since the lock was made",
                    hint="`imagekit lock` takes it as it is now",
                )
            return into

        return obtain

    @staticmethod
    def _unpacked(built: BuiltFrom, url: str) -> _Obtain:
        def obtain(into: Path) -> Path:
            name = built.location.rpartition("/")[2]
            return unpack(fetch([url], sha256=built.digest, size_bytes=None, name=name), name, into)

        return obtain

    def _build(
        self,
        wanted: _Wanted,
        built: BuiltFrom,
        target: Target,
        *,
        requires: Sequence[str] | None = None,
    ) -> LockedWheel:
        with (
            watched(self._progress.task(f"building {wanted.what}")),
            scratch_directory(cache_directory() / "building") as scratch,
        ):
            project = wanted.obtain(scratch / "source") / wanted.subdirectory
            if not is_project(project):
                raise LockError(
                    f"{wanted.what} is no Python project",
                    hint="it needs a pyproject.toml or setup.py; #subdirectory= says where",
                )
            self._check_name(wanted, declared_name(project))
            backend = Backend(target, self._folder, self._variables)
            pins = backend.pinned_requires(project) if requires is None else tuple(requires)
            path = backend.build(project, pins, scratch / "wheel", wanted.what)
            wheel = _described(path, built, pins)
            if wanted.name not in ("", wheel.name):
                raise LockError(f"{wanted.what}: the wheel that it gives is {wheel.filename}")
            fetch([path.as_uri()], sha256=wheel.sha256, size_bytes=None, name=wheel.filename)
        return wheel

    def _check_name(self, wanted: _Wanted, declared: str) -> None:
        """Before its code runs."""
        if wanted.name and declared and wanted.name != declared:
            raise LockError(f"{wanted.what}: the project there is {declared}")
        name = wanted.name or declared
        if self.allows(name):
            return
        if not name and self._spec.allow_build:
            raise LockError(
                f"{wanted.what} does not say its name, and allow_build allows names",
                hint="write NAME @ before it",
            )
        raise self._refusal(wanted.what)

    @staticmethod
    def _refusal(what: str) -> LockError:
        return LockError(
            f"{what} has to be built, which runs its code on this machine",
            hint="`allow_build: true`, or a list with its name, allows that in the spec; "
            "--allow-build for once",
        )


def _repository_address(url: str, known: Sequence[str]) -> str:
    """`url` with the credentials that the spec has for it; only HTTP knows any."""
    if not url.startswith(("https://", "http://")):
        return url
    return with_credentials(f"git+{url}", known).removeprefix("git+")


def _described(path: Path, built: BuiltFrom, requires: tuple[str, ...]) -> LockedWheel:
    name, version, _, _ = parse_wheel_filename(path.name)
    return LockedWheel(
        name=name,
        version=str(version),
        filename=path.name,
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        built=BuiltFrom(
            built.kind,
            built.location,
            built.digest,
            built.revision,
            built.subdirectory,
            requires,
        ),
    )
