# SPDX-License-Identifier: Apache-2.0
"""Images of plugins, built natively: their modules are imported, their work is done, within."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import platform
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from imagekit.catalogue.find import find_plugin, own_names
from imagekit.catalogue.model import Plugin
from imagekit.layers.writer import LayerWriter
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.image import Image
from imagekit.oci.layout import read_layout, write_layout
from tests.fakes.images import make_layer
from tests.real.builds import Host, new_host, shared_downloads
from tests.real.interpreters import found_python

pytestmark = [pytest.mark.network, pytest.mark.userns]

WORK = Path(__file__).parent / "work"
DATA = "vega_datasets/_data"
NATIVE = "3.11"
"""The Python of the embedded base, and of bookworm's modules."""
OLDER = "3.10"

Rows = list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class Case:
    """A plugin's work: how it is called, what it comes to, and what else it needs.

    `expected` counts the same in the data by plain Python, outside of the image.
    """

    plugin: str
    words: tuple[str, ...]
    expected: Callable[[Rows, Rows], object]
    packages: str = ""


def cylinders(origin: str) -> Callable[[Rows, Rows], object]:
    """How many cars of `origin` have how many cylinders."""
    return lambda _, cars: Counter(str(car["Cylinders"]) for car in cars if car["Origin"] == origin)


VEGA = "vega-datasets"
WORKING = (
    Case(
        "duckdb",
        ("duckdb_work:main",),
        lambda weather, _: Counter(day["weather"] for day in weather),
        VEGA,
    ),
    Case(
        "pandera",
        ("pandera_work:main", "limit=35"),
        lambda weather, _: [day["date"] for day in weather if float(str(day["temp_max"])) >= 35],
        VEGA,
    ),
    Case("sqlalchemy", ("sqlalchemy_work:main", "origin=Japan"), cylinders("Japan"), VEGA),
)
HEAVY = (
    Case(
        "papermill",
        ("papermill_work:main", "power=3"),
        lambda *_: f"six to the 3 = {6 * 6 * 6}",
    ),
    Case(
        "dask",
        ("dask_work:main", "numbers=1000"),
        lambda *_: {"total": sum(x * x for x in range(1000)), "workers": 2},
    ),
    Case(
        "ray",
        ("ray_work:main", "numbers=100"),
        lambda *_: {"total": sum(x * x for x in range(100)), "elsewhere": True},
    ),
    Case("spark", ("spark_work:main", "origin=USA"), cylinders("USA"), VEGA),
)

IMPORTS = """
import importlib, json

def main(modules: "list[str]") -> "list[str]":
    return [importlib.import_module(name).__name__ for name in modules]
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """One machine for all: what plugins share is downloaded and made once."""
    return new_host(tmp_path_factory.mktemp("host") / "host", shared_downloads())


def made(
    host: Host,
    folder: Path,
    plugins: tuple[str, ...],
    packages: str = "",
    *,
    python: str = NATIVE,
    base: str = "",
) -> Path:
    """The spec of an image of `plugins` that was built, with all work among its sources."""
    spec = folder / "spec.yaml"
    sources = [name for plugin in plugins for name in find_plugin(plugin).from_source]
    spec.write_text(
        f"name: tests/{'-'.join(plugins)}\npython_version: '{python}'\nobject_storage: false\n"
        f"source_root: {os.path.relpath(folder / 'src', folder)}\n"
        f"plugins: [{', '.join(plugins)}]\npackages: [{packages}]\n"
        f"allow_build: [{', '.join(sources)}]\n{base}"
    )
    (folder / "src").mkdir(exist_ok=True)
    for path in WORK.glob("*.py"):
        (folder / "src" / path.name).write_text(path.read_text())
    (folder / "src" / "imports.py").write_text(IMPORTS)
    host.lock(spec)
    host.build(spec)
    return spec


def output(host: Host, spec: Path, *words: str) -> object:
    """What the task gives, as `imagekit run` prints it; no engine is sent the image for that."""
    done = host.run("run", "--engine", "userns", spec, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    (value,) = json.loads(done.stdout).values()
    return value


def assert_importable(host: Host, spec: Path, plugins: tuple[Plugin, ...]) -> None:
    modules = [module for plugin in plugins for module in plugin.modules]
    assert output(host, spec, "imports:main", f"modules={json.dumps(modules)}") == modules


def data_of(host: Host) -> tuple[Rows, Rows]:
    """Weather and cars, as they lie in the wheel of vega-datasets."""
    for path in host.files.iterdir():
        if zipfile.is_zipfile(path) and f"{DATA}/cars.json" in zipfile.ZipFile(path).namelist():
            with zipfile.ZipFile(path) as wheel:
                text = wheel.read(f"{DATA}/seattle-weather.csv").decode()
                return [*csv.DictReader(text.splitlines())], json.loads(
                    wheel.read(f"{DATA}/cars.json")
                )
    raise AssertionError("no wheel of vega-datasets was downloaded")


@pytest.mark.root
@pytest.mark.parametrize(
    "case",
    [*WORKING, *(pytest.param(case, marks=pytest.mark.slow) for case in HEAVY)],
    ids=lambda case: case.plugin,
)
def test_a_plugin_does_its_work(case: Case, host: Host, tmp_path: Path) -> None:
    """In an image of its own, which holds what its row says; real data comes out as counted."""
    spec = made(host, tmp_path, (case.plugin,), case.packages)
    assert_importable(host, spec, (find_plugin(case.plugin),))
    weather, cars = data_of(host) if case.packages else ([], [])
    assert output(host, spec, *case.words) == case.expected(weather, cars)


def native(name: str) -> bool:
    plugin = find_plugin(name)
    fits = NATIVE in SpecifierSet(plugin.python)
    return (
        fits and bool(plugin.modules) and name not in {case.plugin for case in (*WORKING, *HEAVY)}
    )


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.parametrize("name", [*filter(native, own_names())])
def test_each_plugin_is_built_and_imported(name: str, host: Host, tmp_path: Path) -> None:
    """Its modules, within an image that holds it alone."""
    spec = made(host, tmp_path, (name,))
    assert_importable(host, spec, (find_plugin(name),))


PROGRAMS = """
import subprocess

def main(words: "list[str]") -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
"""


@pytest.mark.slow
@pytest.mark.root
def test_a_plugin_without_a_module_has_its_program(host: Host, tmp_path: Path) -> None:
    """envd's is the only one; the others without a module add nothing to an image."""
    without = [find_plugin(name) for name in own_names() if not find_plugin(name).modules]
    assert [plugin.name for plugin in without if plugin.packages or plugin.apt_packages] == ["envd"]
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "programs.py").write_text(PROGRAMS)
    spec = made(host, tmp_path, ("envd",))
    words = ["/opt/venv/bin/envd", "version", "--short"]
    said = output(host, spec, "programs:main", f"words={json.dumps(words)}")
    assert str(said).startswith("envd")


@pytest.mark.slow
@pytest.mark.root
def test_plugins_for_an_older_python_are_built_where_a_base_has_it(
    host: Host, tmp_path: Path
) -> None:
    """On Debian's base they are refused with the reason; on one of 3.10 they are imported.

    That base is Debian's with the files of this machine's Python 3.10; one package has to be built
    from source, which takes that Python, too.
    """
    older = [name for name in own_names() if NATIVE not in SpecifierSet(find_plugin(name).python)]
    assert older == ["whylogs"]
    plugin = find_plugin("whylogs")
    refused = tmp_path / "refused.yaml"
    refused.write_text("plugins: [whylogs]\n")
    assert plugin.python_why in host.run("lock", refused).stderr

    python = Path(os.path.realpath(found_python((), OLDER)))
    write_layout(base_with(python, host, tmp_path), tmp_path / "base")
    found = dataclasses.replace(host, environ={"PATH": f"{python.parent}:{os.environ['PATH']}"})
    spec = made(found, tmp_path, ("whylogs",), python=OLDER, base="base_image: oci:base\n")
    assert_importable(found, spec, (plugin,))


def base_with(python: Path, host: Host, folder: Path) -> Image:
    """Debian's base, and an interpreter of this machine in its /usr/local."""
    spec = folder / "debian.yaml"
    spec.write_text("object_storage: false\ncompile_bytecode: false\n")
    host.lock(spec)
    host.build(spec, f"oci:{folder / 'debian'}")
    debian = read_layout(folder / "debian")
    library = python.parents[1] / "lib"
    files = {
        f"usr/local/lib/{path.relative_to(library).as_posix()}": path.read_bytes()
        for path in (library / f"python{OLDER}").rglob("*")
        if path.is_file() and not {"__pycache__", "site-packages", "test"} & {*path.parts}
    }
    for shared in library.glob(f"libpython{OLDER}.so.*"):
        files[f"usr/lib/{platform.machine()}-linux-gnu/{shared.name}"] = shared.read_bytes()

    def write(writer: LayerWriter) -> None:
        for path in sorted(files):
            writer.file(path, files[path])
        writer.file(f"usr/local/bin/{python.name}", python.read_bytes(), mode=0o755)

    added = [Addition(debian.layers[0], "Debian"), Addition(make_layer(folder, write), "Python")]
    settings = Settings(environment={"PATH": "/usr/local/bin:/usr/bin:/bin"})
    return assemble(None, added, settings, platform=debian.platform)
