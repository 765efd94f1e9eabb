# SPDX-License-Identifier: Apache-2.0
"""Leaves what a build came to where the next one finds it: in the lock, and in a layer cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from imagekit.builders.known import Repository
from imagekit.builders.native import Made
from imagekit.builders.targets import Target
from imagekit.files import replacing
from imagekit.lock.model import KnownLayer
from imagekit.oci.layer import Layer
from imagekit.paths import cache_directory
from imagekit.registry.records import LayerRecords
from imagekit.registry.reference import RegistryReference

_CONNECTIONS = 4


def vouched(made: Made) -> tuple[KnownLayer, ...]:
    """What the lock may say of the layers: all but what only a registry's record says."""
    return tuple(
        KnownLayer(recipe, layer.digest, layer.diff_id, layer.size_bytes)
        for recipe, layer in made.layers
        if recipe not in made.recorded
    )


def record_layers(
    made: Sequence[Made], trusted: Sequence[Repository], targets: Sequence[Target]
) -> None:
    """After a push, record what was pushed in the first trusted repository, once per machine.

    What fails there is told and is no failure of the build, which has delivered its image.
    """
    pushed = next((each for each in targets if isinstance(each, RegistryReference)), None)
    if pushed is None or not trusted:
        return
    repository = trusted[0]
    done = cache_directory() / "recorded" / _name(str(repository.records))
    work: dict[str, Callable[[LayerRecords], object]] = {}
    for each in made:
        for recipe, layer in each.layers:
            if recipe not in each.recorded:
                work[recipe] = partial(
                    _add, recipe=recipe, layer=layer, pushed=pushed, claims=each.claims
                )
        work[each.wheels] = partial(LayerRecords.add_set, wheels=each.wheels)
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        for key in sorted(work):
            if not (done / key).exists():
                pool.submit(_once, repository, work[key], done / key)


def _once(repository: Repository, add: Callable[[LayerRecords], object], mark: Path) -> None:
    def attempt(records: LayerRecords) -> bool:
        add(records)
        return True

    if repository.trying(attempt):
        with replacing(mark):
            pass


def _add(
    records: LayerRecords,
    *,
    recipe: str,
    layer: Layer,
    pushed: RegistryReference,
    claims: Callable[[str], bytes | None],
) -> None:
    found = claims(recipe)
    if found is None and records.find(recipe) is not None:
        return  # whoever made the layer has said more of it
    records.add(recipe, layer, pushed, claims=found or b"")


def _name(repository: str) -> str:
    return hashlib.sha256(repository.encode()).hexdigest()
