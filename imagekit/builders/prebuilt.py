# SPDX-License-Identifier: Apache-2.0
"""The prebuilt builder: the image is the spec's base, and nothing is built."""

from __future__ import annotations

import functools
from typing import final

from imagekit.builders.delivering import all_targets
from imagekit.builders.model import BuildRequest, Built
from imagekit.builders.targets import deliver
from imagekit.errors import BuildError
from imagekit.oci.reference import DEFAULT_TAG
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference

_CHANGES = (
    "packages",
    "requirements",
    "apt_packages",
    "commands",
    "plugins",
    "copy",
    "env",
    "labels",
    "user",
    "workdir",
    "entrypoint",
)
"""Fields that would make another image."""


@final
class PrebuiltBuilder:
    """Gives the base as it is, by the digest that the lock has of it."""

    def build(self, request: BuildRequest) -> Built:
        base = _base(request)
        client = RegistryClient(progress=request.progress)
        read = functools.cache(functools.partial(client.pull, base))
        try:
            for target in all_targets(request, base.tag or DEFAULT_TAG):
                deliver(read(), target, request.spec.name, client)
        finally:
            client.close()
        return Built(f"{base.host}/{base.repository}", base.tag, base.digest, read)


def _base(request: BuildRequest) -> RegistryReference:
    """What the spec names, by digest.

    Raises BuildError for what the spec asks for and its base may not have.
    """
    spec = request.spec
    asked = [name for name in _CHANGES if getattr(spec, name)]
    if spec.source_root is not None and spec.copies_source:
        asked.append("source_root")
    if asked:
        raise BuildError(
            f"builder: prebuilt changes nothing, and the spec has {', '.join(asked)}",
            hint="leave them out, or build with another builder",
        )
    if len(request.locks) > 1:
        raise BuildError("builder: prebuilt gives one image, and the spec names several platforms")
    base = request.locks[0].base
    reference = str(base.get("reference", "oci:"))
    if reference.startswith(("oci:", "oci-archive:")):
        raise BuildError(
            "builder: prebuilt needs an image that a registry has",
            hint="base_image: docker://HOST/NAME:TAG",
        )
    return RegistryReference.parse(reference.removeprefix("docker://")).at(str(base["digest"]))
