# SPDX-License-Identifier: Apache-2.0
"""CUDA as data: versions, drivers, NVIDIA's images, and the wheels that bring it.

A program built for a CUDA runs with any driver from the least one of the major version on
(minor version compatibility), so majors decide what can run, and minors what is brought.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from imagekit.values import frozen

FRAMEWORKS = ("torch", "jax", "tensorflow")
_WHEEL = re.compile(r"nvidia-(?P<component>[a-z0-9-]+?)(?:-cu(?P<major>\d\d))?")


@frozen
class Major:
    """A major version: its least driver, and what its wheels are called."""

    number: int
    driver: str
    runtime: str
    cudnn: str


@frozen
class Release:
    """A version as X.Y.

    Attributes:
        version: X.Y.
        release: the newest X.Y.Z that has images.
        driver: the first with all of its features; empty where nobody said.
        distributions: of its images, with the word that tags with cuDNN have; empty for none.
        wheels: of each framework, the newest version on the package index that is built for it.
    """

    version: str
    release: str
    driver: str
    distributions: Mapping[str, str]
    wheels: Mapping[str, str]

    @property
    def major(self) -> Major:
        return majors()[int(self.version.partition(".")[0])]

    @property
    def index(self) -> str:
        """What indexes of wheels for one CUDA call it, such as `cu126`."""
        return index_of(self.version)


@frozen
class CudaImage:
    """One of NVIDIA's images; `digest` is None until a registry was asked for it."""

    reference: str
    digest: str | None
    version: str
    distribution: str
    flavour: str
    cudnn: bool
    platforms: tuple[str, ...]


def index_of(version: str) -> str:
    return "cu" + version.replace(".", "")


@cache
def majors() -> Mapping[int, Major]:
    return {int(number): Major(int(number), **row) for number, row in _data()["majors"].items()}


@cache
def releases() -> Mapping[str, Release]:
    """By version, X.Y, oldest first."""
    found = {}
    for version, row in _data()["releases"].items():
        wheels = {name: row[name] for name in FRAMEWORKS if name in row}
        found[version] = Release(
            version, row["release"], row.get("driver", ""), row["distributions"], wheels
        )
    return found


def floors() -> list[str]:
    """Requirements that keep out versions of frameworks whose CUDA nobody can see."""
    return [f"{name}{versions}" for name, versions in _data()["frameworks"].items()]


def images() -> Iterator[CudaImage]:
    """NVIDIA's images of each version, by distribution and flavour."""
    data = _data()
    digests = _digests()
    for release in releases().values():
        for distribution, word in release.distributions.items():
            for words in _flavours(word):
                tag = f"{release.release}-{words}-{distribution}"
                yield CudaImage(
                    f"{data['repository']}:{tag}",
                    digests.get(tag),
                    release.version,
                    distribution,
                    words.rpartition("-")[2],
                    words.startswith("cudnn"),
                    tuple(data["platforms"]),
                )


def held_by(flavour: str) -> frozenset[str]:
    """The components that an image of that flavour holds."""
    found: list[str] = []
    for name, components in _data()["flavours"].items():
        found += components
        if name == flavour:
            break
    return frozenset(found)


def component_of(wheel: str) -> tuple[str, int | None] | None:
    """Of a distribution with libraries of CUDA, such as `nvidia-cublas-cu12`: which, and its major.

    None for anything else. The major is None in names without one, as they are from CUDA 13 on.
    """
    matched = _WHEEL.fullmatch(wheel)
    if matched is None:
        return None
    component, major = matched["component"], matched["major"]
    if major is None:
        return (component, None) if component in held_by("devel") else None
    return component, int(major)


def library_folder(wheel: str, toolkit: int) -> str | None:
    """Where in site-packages a distribution of NVIDIA's keeps its libraries; None for others.

    Each component has a folder, but for those without a major in their name, which share one of
    the toolkit's major version.
    """
    found = component_of(wheel)
    if found is None:
        return None
    component, major = found
    return f"nvidia/cu{toolkit}/lib" if major is None else f"nvidia/{_folder(component)}/lib"


def _folder(component: str) -> str:
    return component.replace("-", "_")


def _flavours(word: str) -> Iterator[str]:
    yield from ("base", "runtime", "devel")
    if word:
        yield from (f"{word}-runtime", f"{word}-devel")


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads((resources.files("imagekit.bases") / "cuda.toml").read_text("utf-8"))


@cache
def _digests() -> dict[str, str]:
    text = (resources.files("imagekit.bases") / "cuda_digests.toml").read_text("utf-8")
    digests: dict[str, str] = tomllib.loads(text)["digests"]
    return digests
