# SPDX-License-Identifier: Apache-2.0
"""How builds are done, beyond what a spec says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from imagekit.values import frozen

if TYPE_CHECKING:
    from imagekit.answers import Answers
    from imagekit.registry.client import RegistryClient


@frozen
class Options:
    """How a build is done.

    Attributes:
        push: to the spec's own registry too, under the image's tag.
        remember: leave what the layers came to in the lock, for plans and other machines.
        rebuild: take no layer from a registry; make all that this machine has not made, and
            compare them with the lock's.
        force: build though the registry has the image; the native builder always does.
        platform: build the image of this one alone, under the tag that `indexing` looks for.
        allow_build: let any package be built from source, whatever the spec says.
        client: gives what asks and fills registries for several builds, so that what they share is
            sent once; the caller closes it.
        answers: keep what several builds ask alike while they make their locks.
    """

    push: bool = False
    remember: bool = True
    rebuild: bool = False
    force: bool = False
    platform: str = ""
    allow_build: bool = False
    client: Callable[[], RegistryClient] | None = None
    answers: Answers | None = None
