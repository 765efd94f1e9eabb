# SPDX-License-Identifier: Apache-2.0
"""Sends layers to the registries that an image goes to, while others of it are still made."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from imagekit.builders.targets import REGISTRY, Target
from imagekit.oci.index import Named
from imagekit.oci.layer import Layer
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference

if TYPE_CHECKING:
    from imagekit.registry.push import Uploader


class Uploads(contextlib.AbstractContextManager["Uploads"]):
    """Those of one build. A context manager; leaving it by an error stops what is under way.

    Args:
        targets: where the image goes; of these the registries count.
        client: the caller closes it.
        before: where an earlier image of the same spec went, as `latest_image` has it: one question
            after it tells which layers a repository has.
    """

    def __init__(
        self, targets: Sequence[Target], client: RegistryClient, before: str | None
    ) -> None:
        self._references = [each for each in targets if isinstance(each, RegistryReference)]
        self._client = client
        self._before = before
        self._guard = threading.Lock()
        self._open: dict[RegistryReference, Uploader] = {}
        self._stack = contextlib.ExitStack()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def begin(self, layer: Layer) -> None:
        """Begin to send a layer; any thread may. What fails is told by `finish`."""
        for reference in self._references:
            self._uploader(reference).push_layer(layer)

    def finish(self, image: Named, reference: RegistryReference) -> None:
        """Send what is left of an image to one of the targets, and its manifest.

        Raises as `Uploader.push_image` does.
        """
        self._uploader(reference).push_image(image)

    def _uploader(self, reference: RegistryReference) -> Uploader:
        with self._guard:
            if reference not in self._open:
                siblings = _siblings(reference, self._before)
                made = self._client.uploader(reference, siblings=siblings)
                self._open[reference] = self._stack.enter_context(made)
            return self._open[reference]


def _siblings(target: RegistryReference, before: str | None) -> Sequence[str]:
    """The earlier image, where that is in the same repository."""
    if before is None or not before.startswith(REGISTRY):
        return ()
    earlier = RegistryReference.parse(before.removeprefix(REGISTRY))
    same = (earlier.host, earlier.repository) == (target.host, target.repository)
    return (earlier.digest,) if same and earlier.digest else ()
