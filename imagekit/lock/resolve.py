# SPDX-License-Identifier: Apache-2.0
"""From requirements to one wheel per package, for the target."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename

from imagekit.answers import Answers
from imagekit.errors import LockError
from imagekit.lock import uv
from imagekit.lock.model import LockedWheel, Target
from imagekit.lock.pins import read_pins
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.lock.sources.substitutes import Substitutes
from imagekit.lock.tags import best_wheel, supported_tags
from imagekit.spec.foreign_locks import is_lock
from imagekit.spec.model import ImageSpec
from imagekit.spec.pip_args import uv_options
from imagekit.spec.requirement import UnusableRequirementError, check_name, parse
from imagekit.spec.requirements_file import RequirementLine, read
from imagekit.spec.secret_files import resolver_variables, with_secrets
from imagekit.spec.source import find_source, requirement_name
from imagekit.urls import masked, without_credentials
from imagekit.values import frozen

OBJECT_STORAGE = "obstore>=0.6"
"""What the entrypoint in the image reads and writes s3, gs and az with."""


@frozen
class Terms:
    """`constraints` bind what is asked for, and ask for nothing; `answers` keep uv's."""

    constraints: Sequence[str] = ()
    answers: Answers = field(default_factory=Answers)


@frozen
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
    sources: SourceBuilder,
    environ: Mapping[str, str],
    terms: Terms | None = None,
) -> tuple[LockedWheel, ...]:
    """One wheel for each package that `spec` needs on `target`, by name.

    `preferences` are wheels whose versions are kept where they still fit; `sources` builds what
    comes without a wheel; `terms` hold beside the spec.

    Raises:
        LockError: no set of wheels fits, with the resolver's explanation.
        SpecError: the requirements file can't be used.
    """
    terms = terms or Terms()
    lines, requirements = _required(spec, folder, target)
    if requirements is None:
        _refuse_other_versions(spec, lines)
    wanted = _with_installer(spec, _with_object_storage(spec, lines), lines)
    if not wanted and not lines:
        return ()
    asked = with_secrets(spec, folder)
    with tempfile.TemporaryDirectory(prefix="imagekit-wheels-") as name:
        built = Substitutes(sources, target, Path(name))
        request = uv.Request(
            packages=[built.requirement(text) for text in wanted],
            requirements=None if requirements is None else built.file(requirements),
            target=target,
            default_index=asked.pip_index,
            indexes=asked.pip_extra_index_url,
            preferences=preferences,
            folder=folder,
            constraints=terms.constraints,
            pins=[] if requirements else [built.requirement(line.text) for line in lines],
            options=uv_options(spec.pip_extra_args or ""),
        )
        environ = {**environ, **resolver_variables(spec, folder)}
        added = OBJECT_STORAGE in wanted
        packages = terms.answers.once(
            ("packages", str(spec.allow_build), *uv.question(request, environ)),
            lambda: _compiled(request, sources, environ, adds_storage=added),
        )
    choice = _Choice(target, supported_tags(target), _allowed_hashes(lines), sources, built)
    return tuple(sorted(map(choice.wheel, packages), key=lambda wheel: wheel.name))


def resolve_at_start(
    spec: ImageSpec,
    folder: Path,
    target: Target,
    *,
    image: Sequence[LockedWheel],
    sources: SourceBuilder,
    environ: Mapping[str, str],
    answers: Answers,
) -> tuple[str, ...]:
    """What a container installs for `runtime_packages` beside the wheels of its `image`.

    Lines of a requirements.txt, each with one version and one hash. Raises as `resolve_packages`.
    """
    if not spec.runtime_packages:
        return ()
    pins = [f"{wheel.name}=={wheel.version}" for wheel in image if wheel.built is None]
    wanted = replace(
        spec,
        packages=[*pins, *spec.runtime_packages],
        requirements=None,
        object_storage=False,
        runtime_packages=(),
    )
    found = resolve_packages(
        wanted,
        folder,
        target,
        preferences=(),
        sources=sources,
        environ=environ,
        terms=Terms(answers=answers),
    )
    there = {wheel.name for wheel in image}
    missing = [wheel for wheel in found if wheel.name not in there]
    built = [wheel.name for wheel in missing if wheel.built is not None]
    if built:
        raise LockError(f"runtime_packages: {', '.join(built)} comes without a wheel")
    return tuple(f"{each.name}=={each.version} --hash=sha256:{each.sha256}" for each in missing)


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
        pin = pinned.get(requirement_name(text))
        if pin is None or find_source(text) is not None:
            continue
        wanted = parse(text)
        version = str(pin.specifier).removeprefix("==")
        if not version or not wanted.specifier.contains(version, prereleases=True):
            raise LockError(
                f"packages wants {masked(text)}, and {spec.requirements} has {masked(str(pin))}",
                hint="leave it out of packages, or lock the project anew",
            )


def _with_installer(
    spec: ImageSpec, wanted: tuple[str, ...], lines: Sequence[RequirementLine]
) -> tuple[str, ...]:
    """What installs `runtime_packages` at the start, unless the spec has it."""
    named = {requirement_name(text) for text in wanted}
    if not spec.runtime_packages or {"uv", "pip"} & {*named, *(line.name for line in lines)}:
        return wanted
    return (*wanted, "uv")


def _with_object_storage(spec: ImageSpec, lines: Sequence[RequirementLine]) -> tuple[str, ...]:
    """The spec's packages, and the client of object stores unless it has one or wants none."""
    storage = Requirement(OBJECT_STORAGE).name
    named = {requirement_name(text) for text in spec.packages}
    if not spec.object_storage or storage in named or storage in {line.name for line in lines}:
        return tuple(spec.packages)
    return (*spec.packages, OBJECT_STORAGE)


def _compiled(
    request: uv.Request,
    sources: SourceBuilder,
    environ: Mapping[str, str],
    *,
    adds_storage: bool,
) -> list[dict[str, Any]]:
    """What uv finds; source is taken of what has no wheel and may be built, one after the other."""
    while True:
        try:
            return uv.compile_packages(request, environ)
        except uv.NoWheelError as error:
            more = frozenset(filter(sources.allows, error.names)) - (request.may_build or set())
            if not more:
                raise _about_storage(error, adds_storage=adds_storage) from error
            sources.refuse_elsewhere(", ".join(sorted(more)))
            request = replace(request, may_build=(request.may_build or frozenset()) | more)
        except LockError as error:
            raise _about_storage(error, adds_storage=adds_storage) from error


def _about_storage(error: LockError, *, adds_storage: bool) -> LockError:
    if adds_storage and Requirement(OBJECT_STORAGE).name in str(error):
        hint = "obstore is what `object_storage` adds: `object_storage: false` leaves it out"
        return LockError(error.message, hint=hint)
    return error


def _allowed_hashes(lines: Sequence[RequirementLine]) -> dict[str, frozenset[str]]:
    """By package, the hashes that its requirements list; uv itself would not look at them."""
    allowed: dict[str, frozenset[str]] = {}
    for line in lines:
        if line.sha256:
            allowed[line.name] = allowed.get(line.name, frozenset()) | line.sha256
    return allowed


@frozen
class _Choice:
    """Of all files that uv offers, the one that the target takes."""

    target: Target
    tags: tuple[Tag, ...]
    hashes: Mapping[str, frozenset[str]]
    sources: SourceBuilder
    built: Substitutes

    def wheel(self, package: Mapping[str, Any]) -> LockedWheel:
        """The wheel of a package as pylock.toml describes it."""
        name = canonicalize_name(package["name"])
        try:
            check_name(name)
        except UnusableRequirementError as error:
            raise LockError(
                error.message, hint="one of the packages needs it: leave that one out"
            ) from error
        candidates = _candidates(package, name)
        made = self.built.find(candidates[0].sha256) if candidates else None
        if made is not None:
            return self._fitting(made)
        if not candidates and "sdist" in package and self.sources.allows(name):
            return self._fitting(self._of_sdist(package, name))
        return self._of_index(package, name, candidates)

    def _of_index(
        self, package: Mapping[str, Any], name: str, candidates: list[_Candidate]
    ) -> LockedWheel:
        allowed = self.hashes.get(name)
        if not candidates:
            raise LockError(
                f"{name} comes without a wheel",
                hint="`allow_build` has what the spec itself names built from source",
            )
        if allowed is not None:
            candidates = [each for each in candidates if each.sha256 in allowed]
            if not candidates:
                raise self._not_listed(package, "no wheel")
        chosen = best_wheel([each.filename for each in candidates], self.tags)
        if chosen is None:
            raise self._runs_nowhere(name, "none of its wheels runs")
        found = next(each for each in candidates if each.filename == chosen)
        return LockedWheel(
            name=name,
            version=str(parse_wheel_filename(chosen)[1]),
            filename=chosen,
            sha256=found.sha256,
            size_bytes=found.size_bytes,
            url=found.url,
        )

    def _of_sdist(self, package: Mapping[str, Any], name: str) -> LockedWheel:
        found = _candidate(package["sdist"], name)
        if found.sha256 not in self.hashes.get(name, {found.sha256}):
            raise self._not_listed(package, "no source")
        url = found.url or ""
        return self.sources.lock_sdist(name, package["version"], url, found.sha256, self.target)

    def _fitting(self, wheel: LockedWheel) -> LockedWheel:
        if best_wheel([wheel.filename], self.tags) is None:
            raise self._runs_nowhere(wheel.name, f"{wheel.filename}, built here, does not run")
        return wheel

    def _runs_nowhere(self, name: str, what: str) -> LockError:
        return LockError(
            f"{name}: {what} on {self.target.platform}, Python {self.target.python_version}, "
            f"glibc {self.target.glibc}",
            hint="name a version that has one",
        )

    def _not_listed(self, package: Mapping[str, Any], what: str) -> LockError:
        return LockError(
            f"{package['name']} {package['version']}: {what} has a hash that the requirements list",
            hint="list the hashes of its files, as `pip hash` or `uv pip compile` writes them",
        )


def _candidates(package: Mapping[str, Any], name: str) -> list[_Candidate]:
    entries = [*package.get("wheels", ())]
    if "archive" in package:  # a requirement by URL
        entries.append(package["archive"])
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
