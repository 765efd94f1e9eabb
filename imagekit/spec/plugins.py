# SPDX-License-Identifier: Apache-2.0
"""`plugins`: what is wrong with them, and the spec with what they need put in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from packaging.specifiers import SpecifierSet

from imagekit.catalogue.conflicts import conflicts
from imagekit.catalogue.find import UnknownPluginError, find_plugin
from imagekit.catalogue.model import Plugin
from imagekit.spec.model import ImageSpec

Wrong = tuple[str, str | None, str]
"""What to say, a hint, and the name as the spec writes it."""


def wrong_plugins(spec: ImageSpec) -> Iterator[Wrong]:
    """Names that nobody knows, plugins for another Python, and pairs that can't be together."""
    written: dict[str, str] = {}
    found: list[Plugin] = []
    for name in spec.plugins:
        try:
            plugin = find_plugin(name)
        except UnknownPluginError as error:
            near = " or ".join(error.near)
            hint = f"did you mean {near}?" if near else "`imagekit plugins` lists them"
            yield f"plugins: {error}", hint, name
            continue
        if plugin.name not in written:
            written[plugin.name] = name
            found.append(plugin)
        yield from _wrong_python(plugin, spec.python_version, name)
    for conflict in conflicts(found):
        hint = "give each an image of its own"
        yield f"plugins: {conflict}", hint, written[conflict.second.name]


def plugins_refusing(spec: ImageSpec, version: str) -> Iterator[Wrong]:
    """The plugins of `spec` that don't work with the Python that its base has, X.Y."""
    for name in spec.plugins:
        yield from _wrong_python(find_plugin(name), version, name)


def with_plugins(spec: ImageSpec) -> ImageSpec:
    """`spec` with what its plugins need among its packages, apt packages and variables.

    What the spec says itself goes over what plugins say. Doing it twice changes nothing.
    """
    found = [find_plugin(name) for name in spec.plugins]
    variables = {name: value for plugin in found for name, value in plugin.env.items()}
    return dataclasses.replace(
        spec,
        packages=[*spec.packages, *_joined([plugin.packages for plugin in found])],
        apt_packages=[*spec.apt_packages, *_joined([plugin.apt_packages for plugin in found])],
        env={**variables, **spec.env},
    )


def _joined(lists: Sequence[Sequence[str]]) -> list[str]:
    return [text for each in lists for text in each]


def _wrong_python(plugin: Plugin, version: str | None, name: str) -> Iterator[Wrong]:
    if version is not None and plugin.python and version not in SpecifierSet(plugin.python):
        message = f"plugins: {plugin.name} does not work with Python {version}: {plugin.python_why}"
        yield message, f"it takes python_version {plugin.python}", name
