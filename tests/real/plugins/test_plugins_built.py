# SPDX-License-Identifier: Apache-2.0
"""Images of plugins, built natively: their modules are imported, their work is done, within."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from imagekit.catalogue.find import find_plugin, own_names
from imagekit.catalogue.model import Plugin
from tests.real.builds import Host, new_host, shared_downloads

pytestmark = pytest.mark.network

WORK = Path(__file__).parent / "work"
NATIVE = "3.11"
"""The Python of the embedded base, and of bookworm's modules."""

WEATHER = {"drizzle": 54, "fog": 411, "rain": 259, "snow": 23, "sun": 714}
JAPAN = {"3": 4, "4": 69, "6": 6}
USA = {"4": 72, "6": 74, "8": 108}

SHOWN = ("duckdb", "pandera", "sqlalchemy")
"""What CI builds: one image of three plugins."""

IMPORTS = """
import importlib, json

def main(modules: "list[str]") -> "list[str]":
    return [importlib.import_module(name).__name__ for name in modules]
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """One machine for all: what plugins share is downloaded and made once."""
    return new_host(tmp_path_factory.mktemp("host") / "host", shared_downloads())


def made(host: Host, folder: Path, plugins: tuple[str, ...], packages: str = "") -> Path:
    """The spec of an image of `plugins` that was built, with all work among its sources."""
    spec = folder / "spec.yaml"
    sources = [name for plugin in plugins for name in find_plugin(plugin).from_source]
    spec.write_text(
        f"name: tests/{'-'.join(plugins)}\npython_version: '{NATIVE}'\nobject_storage: false\n"
        f"source_root: {os.path.relpath(folder / 'src', folder)}\n"
        f"plugins: [{', '.join(plugins)}]\npackages: [{packages}]\n"
        f"allow_build: [{', '.join(sources)}]\n"
    )
    (folder / "src").mkdir()
    for path in WORK.glob("*.py"):
        (folder / "src" / path.name).write_text(path.read_text())
    (folder / "src" / "imports.py").write_text(IMPORTS)
    host.lock(spec)
    host.build(spec)
    return spec


def output(host: Host, spec: Path, *words: str) -> object:
    """What the task gives, as `imagekit run` prints it."""
    done = host.run("run", spec, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    (value,) = json.loads(done.stdout).values()
    return value


def assert_importable(host: Host, spec: Path, plugins: tuple[Plugin, ...]) -> None:
    modules = [module for plugin in plugins for module in plugin.modules]
    assert output(host, spec, "imports:main", f"modules={json.dumps(modules)}") == modules


def test_plugins_that_share_an_image_do_their_work(host: Host, tmp_path: Path) -> None:
    """DuckDB, pandera and SQLAlchemy, on real data."""
    spec = made(host, tmp_path, SHOWN, "vega-datasets")
    assert_importable(host, spec, tuple(map(find_plugin, SHOWN)))
    assert output(host, spec, "duckdb_work:main") == WEATHER
    assert output(host, spec, "pandera_work:main") == 2
    assert output(host, spec, "sqlalchemy_work:main", "origin=Japan") == JAPAN


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plugin", "words", "expected"),
    [
        ("papermill", ["papermill_work:main", "power=3"], "six to the 3 = 216"),
        ("dask", ["dask_work:main", "numbers=1000"], [332833500, 3]),
        ("ray", ["ray_work:main", "numbers=100"], [328350, 1]),
    ],
)
def test_a_plugin_does_its_work(
    plugin: str, words: list[str], expected: object, host: Host, tmp_path: Path
) -> None:
    """In an image of its own."""
    spec = made(host, tmp_path, (plugin,))
    assert output(host, spec, *words) == expected


@pytest.mark.slow
@pytest.mark.root
def test_spark_does_its_work(host: Host, tmp_path: Path) -> None:
    """With Debian's Java, and a wheel that is made of its source."""
    spec = made(host, tmp_path, ("spark",), "vega-datasets")
    assert_importable(host, spec, (find_plugin("spark"),))
    assert output(host, spec, "spark_work:main", "origin=USA") == USA


def native(name: str) -> bool:
    plugin = find_plugin(name)
    fits = NATIVE in SpecifierSet(plugin.python)
    return fits and bool(plugin.modules) and name not in (*SHOWN, "spark")


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.parametrize("name", [*filter(native, own_names())])
def test_each_plugin_is_built_and_imported(name: str, host: Host, tmp_path: Path) -> None:
    """Its modules, within an image that holds it alone."""
    spec = made(host, tmp_path, (name,))
    assert_importable(host, spec, (find_plugin(name),))
