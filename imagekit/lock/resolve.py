# SPDX-License-Identifier: Apache-2.0
"""From requirements to one wheel per package, for the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename

from imagekit.errors import LockError
from imagekit.lock import uv
from imagekit.lock.model import LockedWheel, Target
from imagekit.lock.pins import read_pins
from imagekit.lock.tags import best_wheel, supported_tags
from imagekit.spec.foreign_locks import is_lock
from imagekit.spec.model import ImageSpec
from imagekit.spec.requirement import UnusableRequirementError, check_name, parse
from imagekit.spec.requirements_file import RequirementLine, read
from imagekit.urls import masked, without_credentials

OBJECT_STORAGE = "obstore>=0.6"
"""What the entrypoint in the image reads and writes s3, gs and az with."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One file that uv offers for a package."""

    filename: str
    sha256: str
    size_bytes: int | None
    url: str | None


def resolve_packages(
    spec: ImageSpec,
    folder: Path,
    target: Target,
    *,
    preferences: Sequence[LockedWheel],
    environ: Mapping[str, str],
) -> tuple[LockedWheel, ...]:
    """One wheel for each package that `spec` needs on `target`, by name.

    `preferences` are wheels whose versions are kept where they still fit.

    Raises:
        LockError: no set of wheels fits, with the resolver's explanation.
        SpecError: the requirements file can't be used.
    """
    lines, requirements = _required(spec, folder, target)
    if requirements is None:
        _refuse_other_versions(spec, lines)
    wanted = _with_object_storage(spec, lines)
    if not wanted and not lines:
        return ()
    request = uv.Request(
        packages=wanted,
        requirements=requirements,
        target=target,
        default_index=spec.pip_index,
        indexes=spec.pip_extra_index_url,
        preferences=preferences,
        folder=folder,
        pins=() if requirements is not None else [line.text for line in lines],
    )
    packages = _compiled(request, environ, adds_storage=len(wanted) > len(spec.packages))
    hashes = _allowed_hashes(lines)
    tags = supported_tags(target)
    wheels = [_choose(package, tags, target, hashes) for package in packages]
    return tuple(sorted(wheels, key=lambda wheel: wheel.name))


def _required(
    spec: ImageSpec, folder: Path, target: Target
) -> tuple[tuple[RequirementLine, ...], Path | None]:
    """The lines of `requirements`, and the file where the resolver reads them itself."""
    if spec.requirements is None:
        return (), None
    path = folder / spec.requirements
    if not is_lock(path.name):
        return read(path).requirements, path
    pins = read_pins(path, spec, target)
    return tuple(RequirementLine(pin.requirement, pin.name, pin.sha256) for pin in pins), None


def _refuse_other_versions(spec: ImageSpec, pins: Sequence[RequirementLine]) -> None:
    """A lock's versions stand against everything else, so what excludes one can't be met."""
    pinned = {pin.name: Requirement(pin.text) for pin in pins}
    for text in spec.packages:
        wanted = parse(text)
        pin = pinned.get(canonicalize_name(wanted.name))
        if pin is None:
            continue
        version = str(pin.specifier).removeprefix("==")
        if not version or not wanted.specifier.contains(version, prereleases=True):
            raise LockError(
                f"packages wants {masked(text)}, and {spec.requirements} has {masked(str(pin))}",
                hint="leave it out of packages, or lock the project anew",
            )


def _with_object_storage(spec: ImageSpec, lines: Sequence[RequirementLine]) -> tuple[str, ...]:
    """The spec's packages, and the client of object stores unless it has one or wants none."""
    storage = Requirement(OBJECT_STORAGE).name
    named = {canonicalize_name(parse(text).name) for text in spec.packages}
    if not spec.object_storage or storage in named or storage in {line.name for line in lines}:
        return tuple(spec.packages)
    return (*spec.packages, OBJECT_STORAGE)


def _compiled(
    request: uv.Request, environ: Mapping[str, str], *, adds_storage: bool
) -> list[dict[str, Any]]:
    try:
        return uv.compile_packages(request, environ)
    except LockError as error:
        if adds_storage and Requirement(OBJECT_STORAGE).name in str(error):
            hint = "obstore is what `object_storage` adds: `object_storage: false` leaves it out"
            raise LockError(error.message, hint=hint) from error
        raise


def _allowed_hashes(lines: Sequence[RequirementLine]) -> dict[str, frozenset[str]]:
    """By package, the hashes that its requirements list; uv itself would not look at them."""
    allowed: dict[str, frozenset[str]] = {}
    for line in lines:
        if line.sha256:
            allowed[line.name] = allowed.get(line.name, frozenset()) | line.sha256
    return allowed


def _choose(
    package: Mapping[str, Any],
    tags: tuple[Tag, ...],
    target: Target,
    hashes: Mapping[str, frozenset[str]],
) -> LockedWheel:
    name = canonicalize_name(package["name"])
    try:
        check_name(name)
    except UnusableRequirementError as error:
        raise LockError(
            error.message, hint="one of the packages needs it: leave that one out"
        ) from error
    candidates = _candidates(package, name)
    allowed = hashes.get(name)
    if allowed is not None:
        candidates = [each for each in candidates if each.sha256 in allowed]
        if not candidates:
            raise LockError(
                f"{name} {package['version']}: no wheel has a hash that the requirements list",
                hint="list the hashes of its wheels, as `pip hash` or `uv pip compile` writes them",
            )
    chosen = best_wheel([each.filename for each in candidates], tags)
    if chosen is None:
        raise LockError(
            f"{name}: none of its wheels runs on {target.platform}, Python "
            f"{target.python_version}, glibc {target.glibc}",
            hint="building from source (allow_build) is not supported yet",
        )
    found = next(each for each in candidates if each.filename == chosen)
    return LockedWheel(
        name=name,
        version=str(parse_wheel_filename(chosen)[1]),
        filename=chosen,
        sha256=found.sha256,
        size_bytes=found.size_bytes,
        url=found.url,
    )


def _candidates(package: Mapping[str, Any], name: str) -> list[_Candidate]:
    entries = [*package.get("wheels", ())]
    if "archive" in package:  # a requirement by URL
        entries.append(package["archive"])
    if not entries:
        raise LockError(
            f"{name} comes without a wheel",
            hint="packages from source, folders and version control are not supported yet",
        )
    return [_candidate(entry, name) for entry in entries]


def _candidate(entry: Mapping[str, Any], name: str) -> _Candidate:
    url: str = entry["url"]
    sha256 = entry.get("hashes", {}).get("sha256")
    if sha256 is None:
        raise LockError(
            f"{name}: the index gives no sha256 of {without_credentials(url)}",
            hint="a lock needs an index that names sha256 hashes",
        )
    filename = entry.get("name") or unquote(urlsplit(url).path).rpartition("/")[2]
    return _Candidate(filename, sha256, entry.get("size"), without_credentials(url))
