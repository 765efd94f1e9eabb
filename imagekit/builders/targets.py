# SPDX-License-Identifier: Apache-2.0
"""Where a built image goes: files, a registry, or an engine."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from imagekit.errors import EngineError
from imagekit.oci.descriptor import Platform
from imagekit.oci.destinations import Destination, write_image
from imagekit.oci.image import Image
from imagekit.oci.index import Named, images_of
from imagekit.oci.reference import Reference
from imagekit.registry.reference import RegistryReference
from imagekit.values import frozen

if TYPE_CHECKING:
    from imagekit.registry.client import RegistryClient

REGISTRY = "docker://"
_ENGINE = "docker-daemon:"


@frozen
class EngineName:
    """The name under which the Docker Engine keeps an image."""

    name: str


Target: TypeAlias = Destination | RegistryReference | EngineName


def parse_target(text: str) -> Target:
    """Read a place as containers-transports(5) writes it.

    Raises BuildError for what is none.
    """
    if text.startswith(REGISTRY):
        return RegistryReference.parse(text.removeprefix(REGISTRY))
    if text.startswith(_ENGINE):
        return EngineName(Reference.parse(text.removeprefix(_ENGINE)).tagged)
    return Destination.parse(text)


def deliver(image: Named, target: Target, name: str, client: RegistryClient) -> None:
    """Bring `image` to `target`, whole; an engine gets the one of its platform.

    Args:
        image: what was built.
        target: where it goes.
        name: the image's own, for archives that are given none.
        client: for registries; the caller closes it.

    Raises:
        BuildError: it can't be written.
        RegistryError: the registry refuses it.
        EngineError: the engine can't be asked, or refuses it.
    """
    if isinstance(target, RegistryReference):
        client.push(image, target)
    elif isinstance(target, EngineName):
        _load(image, target.name)
    else:
        write_image(image, _named(target, name))


def _load(image: Named, name: str) -> None:
    here = Platform.of_this_machine()
    fitting = [each for each in images_of(image) if each.platform.fits(here)]
    if isinstance(image, Image):
        fitting = [image]
    if not fitting:
        raise EngineError(f"{_ENGINE}{name}: takes one platform, and none of these is {here}")
    from imagekit.engines.container import Docker  # noqa: PLC0415 - most images go elsewhere

    engine = Docker(os.environ)
    reason = engine.probe()
    if reason is not None:
        raise EngineError(f"{_ENGINE}{name}: {reason}")
    engine.load(fitting[0], name)


def _named(target: Destination, name: str) -> Destination:
    """Readers ask for a name: `docker load` shows it, umoci takes `latest` where none is given."""
    defaults = {"docker-archive": name, "oci": "latest"}
    return replace(target, reference=target.reference or defaults.get(target.transport))
