# SPDX-License-Identifier: Apache-2.0
"""A base that is an image on this machine: where it lies, and what a lock says of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagekit.lock.model import Target
from imagekit.lock.probe import BaseFacts, probe
from imagekit.oci.descriptor import Platform
from imagekit.oci.destinations import Destination, read_image
from imagekit.oci.image import Image
from imagekit.spec.model import ImageSpec


def open_base(reference: str, folder: Path, platform: str) -> Image:
    """The image that `oci:DIR[:REF]` or `oci-archive:FILE[:REF]` names, relative to `folder`.

    Raises:
        BuildError: there is no such image.
        IntegrityError: it is damaged.
    """
    return read_image(Destination.parse(reference, folder), Platform.parse(platform))


def describe(image: Image, reference: str, spec: ImageSpec) -> tuple[Target, Mapping[str, Any]]:
    """What wheels have to run on, and what the lock keeps of `image`.

    Raises:
        LockError: it can't carry a task image, and why.
    """
    facts = probe(image.layers, search_path=_search_path(image), python_version=spec.python_version)
    target = Target(spec.platform, facts.python_version, facts.python_path, facts.glibc)
    return target, _section(image, reference, facts)


def _section(image: Image, reference: str, facts: BaseFacts) -> dict[str, Any]:
    return {
        "kind": "oci",
        "reference": reference,
        "digest": image.digest,
        "os": dict(facts.os_release),
        "passwd": facts.passwd,
        "group": facts.group,
    }


def _search_path(image: Image) -> list[str]:
    for entry in image.config.object("config").texts("Env"):
        name, _, value = entry.partition("=")
        if name == "PATH":
            return [folder for folder in value.split(":") if folder.startswith("/")]
    return []
