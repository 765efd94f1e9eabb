# SPDX-License-Identifier: Apache-2.0
"""Plugins as data: read whole or refused, found by name, compared in pairs."""

from __future__ import annotations

import itertools
import sys
from importlib import resources
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from imagekit.catalogue.conflicts import conflicts
from imagekit.catalogue.find import UnknownPluginError, find_plugin, known_names, own_names
from imagekit.catalogue.model import Plugin
from imagekit.catalogue.read import CatalogueError, read_plugin
from imagekit.spec.requirement import parse
from imagekit.spec.rules import _DEBIAN, _VARIABLE

LEAST = 'about = "Something."\nruns = "task"\n'


def plugin(name: str, text: str = "") -> Plugin:
    return read_plugin(name, LEAST + text)


@pytest.mark.parametrize("name", own_names())
def test_each_plugin_can_be_put_into_a_spec(name: str) -> None:
    """Requirements are lower-bounded and of a kind that can be locked; the rest is well-formed."""
    found = find_plugin(name)
    for text in found.packages:
        operators = {each.operator for each in parse(text).specifier}
        assert operators & {">=", "=="}, text
    assert all(_DEBIAN.fullmatch(text) for text in found.apt_packages)
    assert all(_VARIABLE.fullmatch(variable) for variable in found.env)
    assert all(module.isidentifier() for module in found.modules)
    assert found.about.endswith(".")
    assert found.packages or not found.modules
    assert not found.python or any(f"3.{n}" in SpecifierSet(found.python) for n in range(10, 15))


def test_each_folder_is_a_plugin() -> None:
    """And nothing else lies beside them."""
    folder = Path(str(resources.files("imagekit") / "plugins"))
    assert {each.name.replace("_", "-") for each in folder.iterdir()} == set(own_names())


def test_plugins_that_share_an_image_agree_on_variables() -> None:
    """So that the order in which a spec names them does not matter."""
    pairs = itertools.combinations([find_plugin(name) for name in own_names()], 2)
    for first, second in pairs:
        shared = first.env.keys() & second.env.keys()
        assert all(first.env[name] == second.env[name] for name in shared)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("about = ", "Invalid value"),
        ('runs = "task"', "about is missing or no text"),
        (LEAST.replace("task", "moon"), "runs is none of task, pods, connector, backend, client"),
        (LEAST + 'package = ["a"]', "unknown key 'package'"),
        (LEAST + 'packages = "a"', "packages is no list of texts"),
        (LEAST + 'packages = ["a >> 1"]', "'a >> 1' is no requirement"),
        (LEAST + 'python = "three"', "python 'three' is no version specifier"),
        (LEAST + 'python = "<3.14"', "python_why is missing or no text"),
        (LEAST + 'python_why = "wheels"', "python_why says why of no python"),
        (LEAST + "env = {A = 1}", "env is no table of texts"),
        (LEAST + 'needs = {jre = "?"}', "needs has keys beyond java, mpi"),
        (LEAST + 'limits = ["a<2"]', "limits is no array of tables"),
        (LEAST + '[[limits]]\nrequirement = "a<2"', "other keys than requirement and why"),
    ],
)
def test_a_wrong_image_toml_is_refused(text: str, problem: str) -> None:
    """With the plugin's name and what is wrong."""
    with pytest.raises(CatalogueError) as caught:
        read_plugin("mine", text)
    assert caught.value.message.startswith("reading image.toml of plugin mine: ")
    assert problem in caught.value.message


def test_plugins_whose_requirements_do_not_meet_conflict() -> None:
    """Whichever is named first; both are told, with the requirement and why."""
    old = plugin("old", '[[limits]]\nrequirement = "Frame_Work<2"\nwhy = "its core pins it"')
    new = plugin("new", 'packages = ["frame-work[all]>=2.1"]')
    other = plugin("other", 'packages = ["frame-work>=1.9"]')
    (found,) = conflicts((old, other, new))
    assert str(found) == (
        "old and new can't share an image: old needs Frame_Work<2 (its core pins it), "
        "new needs frame-work[all]>=2.1"
    )
    assert len([*conflicts((new, old))]) == 1


def test_names_are_found_however_they_are_written() -> None:
    """As those of packages are."""
    assert find_plugin("DuckDB") is not None
    assert find_plugin("DUCKDB").name == "duckdb"
    with pytest.raises(UnknownPluginError, match="no plugin 'duckdbb'") as caught:
        find_plugin("duckdbb")
    assert caught.value.near == ["duckdb"]


def test_a_package_of_others_brings_a_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an entry point that names the package with its image.toml."""
    (tmp_path / "their_plugin").mkdir()
    (tmp_path / "their_plugin" / "__init__.py").touch()
    (tmp_path / "their_plugin" / "image.toml").write_text(LEAST)
    metadata = tmp_path / "their_plugin-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-plugin\nVersion: 1\n")
    entries = "[imagekit.plugins]\ntheirs_too = their_plugin\nlost = nowhere_at_all\n"
    (metadata / "entry_points.txt").write_text(entries)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert find_plugin("theirs-too").about == "Something."
    assert {"theirs-too", "lost"} <= set(known_names())
    with pytest.raises(CatalogueError, match="plugin lost in package nowhere_at_all"):
        find_plugin("lost")
    find_plugin.cache_clear()
