# SPDX-License-Identifier: Apache-2.0
"""A base that is an image already: where it lies, and what a lock says of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagekit.errors import BuildError
from imagekit.lock.model import MACHINES, Target
from imagekit.oci.descriptor import Platform
from imagekit.oci.destinations import Destination, read_image
from imagekit.oci.image import Image
from imagekit.progress import Progress

if TYPE_CHECKING:
    from imagekit.lock.probe import BaseFacts


def open_base(reference: str, folder: Path, platform: str, progress: Progress) -> Image:
    """The image that `oci:DIR[:REF]`, `oci-archive:FILE[:REF]` or a registry's name means.

    Paths are relative to `folder`. Of a registry's image the layers are read when they are opened,
    and `progress` is told.

    Raises:
        BuildError: there is no such image.
        IntegrityError: it is damaged.
        RegistryError: the registry refuses, or can't be reached.
    """
    if is_local(reference):
        return read_image(Destination.parse(reference, folder), Platform.parse(platform))
    return _pulled(reference, None, platform, progress)


def open_locked(
    section: Mapping[str, Any], folder: Path, platform: str, progress: Progress
) -> Image:
    """The image that a lock's section pins: from a registry by its digest, whatever its tag says.

    Raises what `open_base` raises, and BuildError where another image lies in its place.
    """
    reference, digest = str(section["reference"]), str(section["digest"])
    if not is_local(reference):
        return _pulled(reference, digest, platform, progress)
    image = open_base(reference, folder, platform, progress)
    if image.digest != digest:
        raise BuildError(
            f"base_image {reference} is {image.digest}, the lock says {digest}",
            hint="`imagekit lock` takes the base as it is now",
        )
    return image


def _pulled(reference: str, digest: str | None, platform: str, progress: Progress) -> Image:
    # Bases in layouts, and plans of them, need no registry.
    from imagekit.registry.client import shared_client  # noqa: PLC0415
    from imagekit.registry.reference import RegistryReference  # noqa: PLC0415

    named = RegistryReference.parse(reference.removeprefix("docker://"))
    wanted = named if digest is None else named.at(digest)
    return shared_client().pull(wanted, Platform.parse(platform), progress)


def is_local(reference: str) -> bool:
    return reference.startswith(("oci:", "oci-archive:"))


def describe(
    image: Image, platform: str, python_version: str | None, python_path: str | None = None
) -> tuple[Target, BaseFacts]:
    """What wheels have to run on, and what else was found in `image`.

    Of its layers only those are read that no base before had (`imagekit.lock.outlines`).
    `python_path` is the interpreter that is meant; without one it is looked for.

    Raises:
        LockError: it can't carry a task image, and why.
        IntegrityError: a layer is damaged or hostile.
        RegistryError: a layer can't be fetched.
    """
    # Builds from a lock read no facts.
    from imagekit.lock.outlines import Outlines  # noqa: PLC0415
    from imagekit.lock.probe import probe  # noqa: PLC0415

    facts = probe(
        Outlines().of(image.layers),
        machine=MACHINES[platform],
        search_path=_search_path(image),
        python_version=python_version,
        python_path=python_path,
    )
    return Target(platform, facts.python_version, facts.python_path, facts.glibc), facts


def section_of(image: Image, reference: str, facts: BaseFacts) -> dict[str, Any]:
    """What the lock keeps of a base that is an image."""
    from imagekit.lock import cuda  # noqa: PLC0415 - builds from a lock read no facts

    section: dict[str, Any] = {
        "kind": "oci",
        "reference": reference,
        "digest": image.digest,
        "os": dict(facts.os_release),
        "passwd": facts.passwd,
        "group": facts.group,
    }
    if facts.interpreter is not None:
        section["interpreter"] = facts.interpreter
    if facts.distributions:
        section["distributions"] = dict(facts.distributions)
    held = cuda.of_environment(image.config.object("config").texts("Env"))
    return section if held is None else {**section, "cuda": held}


def _search_path(image: Image) -> list[str]:
    for entry in image.config.object("config").texts("Env"):
        name, _, value = entry.partition("=")
        if name == "PATH":
            return [folder for folder in value.split(":") if folder.startswith("/")]
    return []
