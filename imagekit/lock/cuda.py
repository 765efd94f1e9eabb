# SPDX-License-Identifier: Apache-2.0
"""Where the CUDA of an image comes from: its base, or the wheels of NVIDIA on a plain one.

docs/decisions/0020-cuda.md has the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from imagekit.bases import cuda
from imagekit.bases.cuda import Release
from imagekit.errors import LockError
from imagekit.lock.model import LockedWheel
from imagekit.sizes import shown_size
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen

_VERSION = re.compile(r"\d+\.\d+(\.\d+)*")
_LOCAL = re.compile(r"\+cu(\d\d)(\d)")


@frozen
class Choice:
    """What a spec's `cuda` adds to its packages, and what it holds others to."""

    packages: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()


@frozen
class Told:
    """What people are told of an image's CUDA: one sentence, and what is better changed."""

    version: str
    origin: str
    wheels_bytes: int
    twice_bytes: int
    driver: str
    explanation: str
    warnings: tuple[str, ...]


def of_environment(entries: Iterable[str]) -> dict[str, str] | None:
    """What the variables of an image say of the CUDA in it, as NVIDIA's own do; None for none."""
    variables = dict(entry.partition("=")[::2] for entry in entries)
    version = variables.get("CUDA_VERSION", "")
    if not _VERSION.fullmatch(version):
        return None
    flavour = "runtime" if "NV_CUDA_LIB_VERSION" in variables else "base"
    if "NV_CUDA_CUDART_DEV_VERSION" in variables:
        flavour = "devel"
    found = {"version": version, "flavour": flavour}
    cudnn = variables.get("NV_CUDNN_VERSION") or variables.get("CUDNN_VERSION")
    if cudnn:
        found["cudnn"] = cudnn
    if "LD_LIBRARY_PATH" in variables:
        found["library-path"] = variables["LD_LIBRARY_PATH"]
    return found


def choose(spec: ImageSpec, base: Mapping[str, Any]) -> Choice:
    """What has to be resolved beside the packages of `spec`, on a base of that section.

    Raises:
        LockError: the base holds another CUDA or cuDNN.
    """
    if spec.cuda is None:
        return Choice()
    release = cuda.releases()[spec.cuda]
    held = base.get("cuda")
    constraints = [*cuda.floors(), *_only(release)]
    packages = [] if held else [f"{release.major.runtime}=={release.version}.*"]
    if held and _minor(held["version"]) != release.version:
        raise LockError(
            f"cuda is {spec.cuda}, and base_image holds CUDA {held['version']}",
            hint=f"write cuda: {_minor(held['version'])!r}, or take a base with CUDA {spec.cuda}",
        )
    if spec.cudnn is not None:
        constraints.append(f"{release.major.cudnn}=={spec.cudnn}.*")
        if not _holds_cudnn(held, spec.cudnn):
            packages.append(f"{release.major.cudnn}=={spec.cudnn}.*")
    return Choice(tuple(packages), tuple(constraints))


def hint_for(version: str) -> str:
    """Which CUDA frameworks have wheels for, for a spec whose packages don't meet its own."""
    table = cuda.releases()
    known = [
        f"{name} has them for {', '.join(v for v, each in table.items() if name in each.wheels)}"
        for name in cuda.FRAMEWORKS
    ]
    index = table[version].index
    return (
        f"cuda: {version!r} takes wheels for that CUDA alone. On the default index "
        f"{'; '.join(known)}. An index of wheels for {index} goes into pip_extra_index_url"
    )


def check(spec: ImageSpec, base: Mapping[str, Any], wheels: Sequence[LockedWheel]) -> None:
    """Refuse what drivers that are enough for the base, or for `cuda`, can't run.

    Raises:
        LockError: a wheel was built for a later major version.
    """
    held = base.get("cuda")
    version = held["version"] if held else spec.cuda
    if version is None:
        return
    allowed = int(version.partition(".")[0])
    for wheel, major in _built_for(wheels):
        if major > allowed:
            where = f"base_image holds CUDA {version}" if held else f"cuda is {version}"
            raise LockError(
                f"{_blamed(wheel, wheels)} is built for CUDA {major}, and {where}: a driver from "
                f"{_driver(allowed)} on runs that, and CUDA {major} needs {_driver(major)}",
                hint=f"write cuda: {_minor(version)!r} to take wheels that fit, or another base",
            )


def tell(spec: ImageSpec, base: Mapping[str, Any], wheels: Sequence[LockedWheel]) -> Told | None:
    """What to say of the CUDA in an image; None where there is none."""
    held = base.get("cuda")
    brought = [wheel for wheel in wheels if cuda.component_of(wheel.name)]
    versions = sorted({major for _, major in _built_for(wheels)})
    if not held and not versions:
        return None
    version = held["version"] if held else spec.cuda or _brought_version(wheels, versions)
    size = sum(wheel.size_bytes or 0 for wheel in brought)
    twice = sum(wheel.size_bytes or 0 for wheel in _twice(held, brought)) if held else 0
    driver = _driver(max([*versions, int(version.partition(".")[0])]))
    return Told(
        version=version,
        origin="base" if held else "wheels",
        wheels_bytes=size,
        twice_bytes=twice,
        driver=driver,
        explanation=_explained(spec, held, version, brought, size, driver),
        warnings=tuple(_warnings(held, versions, twice, brought)),
    )


def _explained(
    spec: ImageSpec,
    held: Mapping[str, str] | None,
    version: str,
    brought: Sequence[LockedWheel],
    size: int,
    driver: str,
) -> str:
    if held:
        cudnn = f" and cuDNN {held['cudnn']}" if "cudnn" in held else ""
        came = f"{version}{cudnn} from the base ({held['flavour']}), which says so itself"
    else:
        why = "" if spec.cuda else ", as the packages ask for; `cuda` would pin it"
        came = f"{version} from {len(brought)} nvidia-* wheels ({shown_size(size)}), as the base "
        came += f"holds none{why}"
    release = cuda.releases().get(_minor(version))
    full = f", all of its features from {release.driver} on" if release and release.driver else ""
    return f"{came}; runs with drivers from {driver} on{full}"


def _warnings(
    held: Mapping[str, str] | None,
    majors: Sequence[int],
    twice: int,
    brought: Sequence[LockedWheel],
) -> Iterator[str]:
    if held and twice:
        names = ", ".join(sorted(wheel.name for wheel in _twice(held, brought)))
        yield (
            f"CUDA ships twice: the base holds {held['version']}, and {names} bring "
            f"{shown_size(twice)} of it again; a base without CUDA is enough for these packages"
        )
    if len(majors) > 1:
        told = " and ".join(map(str, majors))
        yield f"the packages bring CUDA {told}: the image holds the libraries of each"


def _twice(held: Mapping[str, str], brought: Sequence[LockedWheel]) -> list[LockedWheel]:
    """The wheels with components that the base holds too, whatever their version."""
    components = cuda.held_by(held["flavour"]) | ({"cudnn"} if "cudnn" in held else set())
    return [wheel for wheel in brought if (cuda.component_of(wheel.name) or ("",))[0] in components]


def _only(release: Release) -> Iterator[str]:
    """Constraints by which no wheel for another CUDA can be chosen."""
    for major in cuda.majors().values():
        wanted = f"=={release.version}.*" if major == release.major else "<0"
        yield f"{major.runtime}{wanted}"


def _built_for(wheels: Sequence[LockedWheel]) -> Iterator[tuple[LockedWheel, int]]:
    """The wheels that say which CUDA they are for, with its major version."""
    for wheel in wheels:
        local = _LOCAL.search(wheel.version)
        if local is not None:
            yield wheel, int(local[1])
        elif (found := cuda.component_of(wheel.name)) is not None:
            component, major = found
            if major is not None:
                yield wheel, major
            elif component == "cuda-runtime":
                yield wheel, int(wheel.version.partition(".")[0])


def _brought_version(wheels: Sequence[LockedWheel], majors: Sequence[int]) -> str:
    """Of the runtime, X.Y; the major version alone where none is among the wheels."""
    for wheel in wheels:
        if (cuda.component_of(wheel.name) or ("",))[0] == "cuda-runtime":
            return _minor(wheel.version)
    return str(majors[-1])


def _blamed(wheel: LockedWheel, wheels: Sequence[LockedWheel]) -> str:
    """The framework that brings a wheel of NVIDIA's where it is known, else the wheel."""
    for each in wheels:
        if each.name in cuda.FRAMEWORKS:
            return f"{each.name} {each.version} with {wheel.name} {wheel.version}"
    return f"{wheel.name} {wheel.version}"


def _holds_cudnn(held: Mapping[str, str] | None, major: str) -> bool:
    return held is not None and held.get("cudnn", "").partition(".")[0] == major


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _driver(major: int) -> str:
    known = cuda.majors()
    return known[major].driver if major in known else f"CUDA {major}'s"
