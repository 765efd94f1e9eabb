# SPDX-License-Identifier: Apache-2.0
"""Whether a registry has a spec's image already, by asking the registry itself.

A tag alone proves nothing: the manifest behind it has to name the very lock. What can't be found
out is `unknown`, and nobody may take that for a yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from imagekit.builders.layerings import LOCK_ANNOTATION
from imagekit.errors import BuildError, IntegrityError, RegistryError
from imagekit.lock.model import Lock
from imagekit.oci.index import images_of
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from imagekit.values import frozen

Answer = Literal["exists", "absent", "unknown"]


@frozen
class Existing:
    """`digest` of what the tag names, where it is the image; `reason` where it is unknown."""

    answer: Answer
    digest: str = ""
    reason: str = ""

    def __bool__(self) -> bool:
        raise TypeError("compare `answer`: unknown is neither yes nor no")


def existing(
    reference: RegistryReference, locks: Sequence[Lock], client: RegistryClient
) -> Existing:
    """Whether `reference` names the image of `locks`, one per platform.

    The reference's tag is the plan's, so it stands for everything else that enters the image.
    """
    try:
        found = client.find_manifest(reference)
        if found is None:
            return Existing("absent")
        images = images_of(client.pull_all(reference.at(found.descriptor.digest)))
    except (RegistryError, IntegrityError, BuildError) as error:
        return Existing("unknown", reason=error.message)
    named = {str(image.platform): image.annotations.get(LOCK_ANNOTATION) for image in images}
    if named != {lock.target.platform: lock.digest for lock in locks}:
        return Existing("absent")
    return Existing("exists", found.descriptor.digest)
