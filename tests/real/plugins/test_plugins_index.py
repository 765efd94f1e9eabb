# SPDX-License-Identifier: Apache-2.0
"""The catalogue against the package index."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from imagekit.catalogue.conflicts import conflicts
from imagekit.catalogue.find import find_plugin, own_names
from imagekit.errors import LockError
from imagekit.lock.model import LockedWheel, Target
from imagekit.lock.resolve import resolve_packages
from imagekit.lock.sources.builder import SourceBuilder
from imagekit.progress import Silent
from imagekit.spec.model import ImageSpec
from imagekit.spec.plugins import with_plugins

pytestmark = pytest.mark.network

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
PLUGINS = [find_plugin(name) for name in own_names()]
PLATFORM = "linux/amd64"


def works_with(name: str, python: str) -> bool:
    return python in SpecifierSet(find_plugin(name).python)


def problem(names: Sequence[str], python: str) -> str | None:
    """What the resolver says of these plugins in one image, or None."""
    spec = with_plugins(ImageSpec(plugins=names, object_storage=False))
    target = Target(PLATFORM, f"{python}.0", f"/usr/bin/python{python}", "2.36")
    try:
        wheels = resolved(spec, target)
    except LockError as error:
        return f"{'+'.join(names)} on {python}: {error.message} ({error.hint})"
    assert len(wheels) >= len({text.partition(">")[0] for text in spec.packages})
    return None


def resolved(spec: ImageSpec, target: Target) -> tuple[LockedWheel, ...]:
    folder = Path.cwd()
    sources = SourceBuilder(spec, folder, Silent(), os.environ)
    return resolve_packages(
        spec, folder, target, preferences=(), sources=sources, environ=os.environ
    )


def problems(cases: Sequence[tuple[Sequence[str], str]]) -> list[str]:
    with ThreadPoolExecutor(2) as pool:
        return [found for found in pool.map(lambda case: problem(*case), cases) if found]


def from_wheels(python: str) -> list[str]:
    return [
        plugin.name
        for plugin in PLUGINS
        if works_with(plugin.name, python) and not plugin.from_source and plugin.packages
    ]


def test_each_requirement_is_met_by_wheels() -> None:
    """Each plugin alone, on Python 3.11 and linux/amd64."""
    cases = [((name,), "3.11") for name in from_wheels("3.11")]
    assert len(cases) > 40
    assert problems(cases) == []


def test_packages_without_wheels_are_named() -> None:
    """What a plugin says to come as source does, and is told by its name."""
    for plugin in PLUGINS:
        if plugin.from_source:
            told = problem((plugin.name,), "3.11")
            assert told is not None
            assert any(name in told for name in plugin.from_source)


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_each_python_that_a_plugin_claims_works(python: str) -> None:
    """Each plugin alone, for each of them; and one that it does not claim fails."""
    assert problems([((name,), python) for name in from_wheels(python)]) == []
    unclaimed = [
        plugin.name
        for plugin in PLUGINS
        if not works_with(plugin.name, python) and not plugin.from_source
    ]
    assert len(problems([((name,), python) for name in unclaimed])) == len(unclaimed)


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_plugins_without_a_known_conflict_share_an_image(python: str) -> None:
    """All of them at once: no conflict is missing."""
    names = from_wheels(python)
    assert list(conflicts([find_plugin(name) for name in names])) == []
    assert problem(names, python) is None


def test_known_conflicts_are_real() -> None:
    """The resolver agrees: what one plugin limits, and what the other asks for, don't meet."""
    found = list(conflicts(PLUGINS))
    assert found
    for conflict in found:
        first, second = conflict.of_first.requirement, conflict.of_second.requirement
        spec = ImageSpec(packages=[first, second], object_storage=False)
        target = Target(PLATFORM, "3.11.0", "/usr/bin/python3.11", "2.36")
        with pytest.raises(LockError):
            resolved(spec, target)


def test_limits_are_what_packages_ask_for() -> None:
    """Without the limit's versions there is no way to have the plugin's packages."""
    limits = [(plugin, limit) for plugin in PLUGINS for limit in plugin.limits]
    assert limits
    for plugin, limit in limits:
        text = limit.requirement
        name, bound = text.split("<")
        packages = [*plugin.packages, f"{name}>={bound}"]
        without = ImageSpec(packages=packages, object_storage=False)
        target = Target(PLATFORM, "3.11.0", "/usr/bin/python3.11", "2.36")
        with pytest.raises(LockError) as caught:
            resolved(without, target)
        assert name in caught.value.message


def test_no_two_plugins_are_the_same_but_for_words() -> None:
    """Task types belong to one plugin each, but for those that Flyte itself shares."""
    shared = {
        task_type
        for first, second in itertools.combinations(PLUGINS, 2)
        for task_type in {*first.task_types} & {*second.task_types}
    }
    assert shared == {"spark", "python-task"}
