# SPDX-License-Identifier: Apache-2.0
"""The plugins there are: folders of `imagekit/plugins`, and those of other packages.

A package of somebody else registers a plugin as an entry point of the group `imagekit.plugins`:
its name is the plugin's, its value the package that holds `image.toml`.
"""

from __future__ import annotations

import difflib
import importlib.metadata
from functools import cache
from importlib import resources

from packaging.utils import canonicalize_name

from imagekit.catalogue.model import Plugin
from imagekit.catalogue.read import CatalogueError, read_plugin

GROUP = "imagekit.plugins"
"""The entry-point group of plugins of others."""

_FILE = "image.toml"


class UnknownPluginError(ValueError):
    """Nobody has a plugin of that name; `near` are names that look like it."""

    def __init__(self, name: str, near: list[str]) -> None:
        super().__init__(f"there is no plugin {name!r}")
        self.near = near


@cache
def own_names() -> tuple[str, ...]:
    """Our own plugins, sorted."""
    folders = (resources.files("imagekit") / "plugins").iterdir()
    return tuple(
        sorted(canonicalize_name(each.name) for each in folders if (each / _FILE).is_file())
    )


def known_names() -> tuple[str, ...]:
    """All of them, sorted: our own, and those of other packages."""
    others = importlib.metadata.entry_points(group=GROUP).names
    return tuple(sorted({*own_names(), *map(canonicalize_name, others)}))


@cache
def find_plugin(name: str) -> Plugin:
    """The plugin called `name`.

    Raises:
        UnknownPluginError: there is none.
        CatalogueError: its `image.toml` is wrong.
    """
    wanted = canonicalize_name(name)
    if wanted in own_names():
        folder = resources.files("imagekit") / "plugins" / wanted.replace("-", "_")
        return read_plugin(wanted, (folder / _FILE).read_text("utf-8"))
    for entry in importlib.metadata.entry_points(group=GROUP):
        if canonicalize_name(entry.name) == wanted:
            return _foreign(wanted, entry.value)
    raise UnknownPluginError(name, difflib.get_close_matches(wanted, known_names(), n=3))


def _foreign(name: str, package: str) -> Plugin:
    try:
        text = (resources.files(package) / _FILE).read_text("utf-8")
    except (ImportError, OSError) as error:
        message = f"reading image.toml of plugin {name} in package {package}: {error}"
        raise CatalogueError(message) from error
    return read_plugin(name, text)
