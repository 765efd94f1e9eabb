# SPDX-License-Identifier: Apache-2.0
"""Layers that this machine has not made: who says what they are, and who is believed.

The lock is: it belongs to the spec, and its table is what an earlier build made. A registry's
records are believed only of repositories that the user trusts, and enter neither the lock nor the
cache of recipes, so that nobody else believes them through us.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar, final

from imagekit.errors import ImagekitError, IntegrityError
from imagekit.layers.cache import LayerCache
from imagekit.lock.model import Lock
from imagekit.oci.blobs import BlobLayer, BlobSource
from imagekit.oci.layer import GZIP_LAYER, FileLayer, PromisedLayer
from imagekit.progress import Progress
from imagekit.registry.client import RegistryClient
from imagekit.registry.records import LayerRecords
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen

VARIABLE = "IMAGEKIT_LAYER_CACHE"
_CONNECTIONS = 8
_Result = TypeVar("_Result")


@frozen
class Known:
    """A layer that was made elsewhere; `recorded`: only a registry's record says what it is.

    `source` is where it may be mounted from.
    """

    promised: PromisedLayer
    source: BlobSource | None
    recorded: bool


def trusted_repositories(
    spec: ImageSpec, environ: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Whose records are believed: the variable's where it is set, even empty, else the spec's."""
    configured = environ.get(VARIABLE)
    if configured is None:
        return tuple(spec.layer_cache)
    return tuple(filter(None, re.split(r"[\s,]+", configured)))


@final
class Repository:
    """One trusted repository. Where it can't be used, people are told so once, and it is left."""

    def __init__(self, client: RegistryClient, name: str, progress: Progress) -> None:
        self.records = LayerRecords(client, name)
        self._progress = progress
        self._guard = threading.Lock()
        self._answered = False
        self._broken = False

    def trying(self, attempt: Callable[[LayerRecords], _Result]) -> _Result | None:
        """What `attempt` gives; None where it fails, or an earlier one did.

        Until the repository has answered it is asked one thing at a time, and that once.
        """
        with contextlib.nullcontext() if self._answered else self._guard:
            if self._broken:
                return None
            self.records.may_be_missing(missing=True)
            try:
                found = attempt(self.records)
            except ImagekitError as error:
                self._give_up(error)
                return None
            self._answered = True
            return found

    def _give_up(self, error: ImagekitError) -> None:
        self.records.may_be_missing(missing=False)  # it may be pushed to
        if not self._broken:
            self._broken = True
            label = f"layer cache {self.records} is not used: {error.message}"
            self._progress.task(label).done()


@final
class KnownLayers:
    """What is known of the layers of one lock, by the keys of their recipes."""

    def __init__(
        self, lock: Lock, repositories: Sequence[Repository], *, lazy: bool, rebuild: bool
    ) -> None:
        """Begin; nothing is asked yet.

        Args:
            lock: whose table of layers is believed.
            repositories: whose records are believed.
            lazy: whether layers may be left where they are; without, the lock's are of use only
                where a repository may have their bytes.
            rebuild: whether what is known is only compared with what is made.
        """
        self._table = {
            known.recipe: PromisedLayer(known.digest, known.diff_id, known.size_bytes)
            for known in lock.layers
        }
        self._repositories = () if rebuild else tuple(repositories)
        self._rebuild = rebuild
        self.lazy = lazy and not rebuild
        self._found: dict[str, Known] = {}

    def look_up(self, recipes: Iterable[str]) -> None:
        """Find out what is known of layers that are not here: one request each, side by side."""
        if not self.lazy and not self._repositories:
            return
        first = self._repositories[0].records.blobs if self._repositories else None
        asked = []
        for recipe in recipes:
            if recipe in self._table:
                self._found[recipe] = Known(self._table[recipe], first, recorded=False)
            elif self._repositories:
                asked.append(recipe)
        if asked:
            with ThreadPoolExecutor(_CONNECTIONS) as pool:
                answers = zip(asked, pool.map(self._recorded, asked), strict=True)
                self._found.update((recipe, known) for recipe, known in answers if known)

    def find(self, recipe: str) -> Known | None:
        """What `look_up` found."""
        return self._found.get(recipe)

    def locked(self, recipe: str) -> PromisedLayer | None:
        """What the lock says of a layer, however it came here."""
        return self._table.get(recipe)

    def free_of_conflicts(self, wheels: str, recipes: Sequence[str]) -> bool:
        """Whether a build before this one found the wheels, whose layers these are, to agree.

        The lock's table is of one whole build, so its layers agree.
        """
        if not self._rebuild and all(recipe in self._table for recipe in recipes):
            return True
        asked = partial(LayerRecords.has_set, wheels=wheels)
        return any(repository.trying(asked) for repository in self._repositories)

    @property
    def has_records(self) -> bool:
        return bool(self._repositories)

    def claims(self, recipe: str, decode: Callable[[bytes], _Result]) -> _Result | None:
        """What the record of a layer says that its wheels write; None where none says it."""

        def attempt(records: LayerRecords) -> _Result | None:
            data = records.find_claims(recipe)
            return None if data is None else decode(data)

        found = (repository.trying(attempt) for repository in self._repositories)
        return next((each for each in found if each is not None), None)

    def fetch(self, promised: PromisedLayer, cache: LayerCache) -> FileLayer | None:
        """The layer's file, from a trusted repository; None where none has it."""
        asked = partial(_download, promised=promised, cache=cache)
        found = (repository.trying(asked) for repository in self._repositories)
        return next(filter(None, found), None)

    def _recorded(self, recipe: str) -> Known | None:
        for repository in self._repositories:
            found = repository.trying(partial(LayerRecords.find, recipe=recipe))
            if found is not None:
                return Known(found, repository.records.blobs, recorded=True)
        return None


def _download(
    records: LayerRecords, promised: PromisedLayer, cache: LayerCache
) -> FileLayer | None:
    blobs = records.blobs
    if blobs.ask_size(promised.digest) is None:
        return None
    size_bytes = promised.size_bytes
    layer = BlobLayer(blobs, promised.digest, promised.diff_id, size_bytes, GZIP_LAYER)
    with layer.open() as stream:
        return cache.keep(promised, stream)


def check_promise(promised: PromisedLayer, layer: FileLayer, what: str, source: str) -> None:
    """Raise IntegrityError where a layer that was made here is not the one that was promised."""
    if not promised.kept_by(layer):
        raise IntegrityError(
            f"{what}: {source} says that the layer is {promised.digest}, and this machine makes "
            f"{layer.digest}",
            hint="one of them was changed: find out which before the image is used; without its "
            "`layers` the lock says nothing of them",
        )
