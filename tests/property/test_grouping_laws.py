# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.layers.grouping import Weighed, arrange

NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
WHEELS = st.dictionaries(NAMES, st.integers(0, 1 << 32), max_size=300).map(
    lambda sizes: [Weighed(name, size) for name, size in sizes.items()]
)
BUDGETS = st.integers(10, 94)


def names(layers: tuple[tuple[Weighed, ...], ...]) -> list[tuple[str, ...]]:
    return [tuple(wheel.name for wheel in layer) for layer in layers]


@given(WHEELS, BUDGETS, st.randoms())
@settings(max_examples=60, deadline=None)
def test_layers_are_a_function_of_the_set(
    wheels: list[Weighed], budget: int, shuffler: random.Random
) -> None:
    """Every wheel is in exactly one layer, within the budget, whatever order they come in."""
    layers = arrange(wheels, budget)
    shuffled = list(wheels)
    shuffler.shuffle(shuffled)

    assert len(layers) <= budget
    assert sorted(wheel.name for wheel in wheels) == sorted(sum(names(layers), ()))
    assert layers == arrange(shuffled, budget)


def realistic(seed: int, count: int) -> list[Weighed]:
    """Sizes as ML environments have them: a few huge wheels, many small ones."""
    chance = random.Random(seed)
    return [
        Weighed(f"package-{number}", int(chance.lognormvariate(12, 2.2))) for number in range(count)
    ]


@given(st.integers(0, 1000), st.integers(0, 199), st.floats(0.98, 1.02))
@settings(max_examples=60, deadline=None)
def test_a_new_version_moves_its_own_layer_alone(seed: int, index: int, growth: float) -> None:
    """A wheel that becomes a little larger or smaller leaves all other layers as they are."""
    wheels = realistic(seed, 200)
    changed = list(wheels)
    changed[index] = Weighed(wheels[index].name, int(wheels[index].size_bytes * growth))
    before, after = names(arrange(wheels, 90)), names(arrange(changed, 90))
    unlike = set(before) ^ set(after)

    # A wheel that crosses a size class may trade places with one other; more never move.
    assert len(unlike) <= 4
    if wheels[index].size_class == changed[index].size_class:
        assert before == after


@given(st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_groups_hold_at_most_two_percent(seed: int) -> None:
    """No group of small wheels is more than 2 % of an environment of 200 wheels."""
    wheels = realistic(seed, 200)
    total = sum(wheel.size_bytes for wheel in wheels)
    for layer in arrange(wheels, 90):
        if len(layer) > 1:
            assert sum(wheel.size_bytes for wheel in layer) <= 0.02 * total


def test_groups_stay_small_where_all_wheels_are_alike() -> None:
    """The hardest case: 200 wheels of the same size."""
    wheels = [Weighed(f"package-{number}", 1_000_000) for number in range(200)]
    layers = arrange(wheels, 90)

    assert max(len(layer) for layer in layers) <= 4
    assert len(layers) <= 90
