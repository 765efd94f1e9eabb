# SPDX-License-Identifier: Apache-2.0
"""What images are called."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from imagekit.spec.model import ImageSpec


def repository(spec: ImageSpec) -> str:
    """The repository of the spec's image, with the registry where it names one."""
    return spec.name if spec.registry is None else f"{spec.registry}/{spec.name}"


def common_tag(tags: Sequence[str]) -> str:
    """One platform's own tag, or one that follows from those of all platforms."""
    if len(tags) == 1:
        return tags[0]
    return hashlib.sha256("\n".join(tags).encode()).hexdigest()[: len(tags[0])]


def platform_tag(tag: str, platform: str) -> str:
    """Under which the image of one platform waits for the others, until their index has `tag`."""
    return f"{tag}-{platform.replace('/', '-')}"
