# SPDX-License-Identifier: Apache-2.0
"""What images are called."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from imagekit.planning.planner import formatted_tag
from imagekit.spec.model import ImageSpec


def repository(spec: ImageSpec) -> str:
    """The repository of the spec's image, with the registry where it names one."""
    return spec.name if spec.registry is None else f"{spec.registry}/{spec.name}"


def common_tag(spec: ImageSpec, identities: Sequence[str]) -> str:
    """The tag by the identity of one platform's plan, or by those of all platforms."""
    identity = identities[0]
    if len(identities) > 1:
        joined = "\n".join(identities).encode()
        identity = hashlib.sha256(joined).hexdigest()[: len(identity)]
    return formatted_tag(spec, identity)


def platform_tag(tag: str, platform: str) -> str:
    """Under which the image of one platform waits for the others, until their index has `tag`."""
    return f"{tag}-{platform.replace('/', '-')}"
