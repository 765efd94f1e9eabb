# SPDX-License-Identifier: Apache-2.0
"""`plugins` in a spec: what is put in, and what is refused, in which line."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.catalogue.find import find_plugin
from imagekit.errors import SpecError
from imagekit.spec.digest import spec_digest
from imagekit.spec.load import load_specs, parse_spec
from imagekit.spec.model import ImageSpec
from imagekit.spec.plugins import with_plugins


def parsed(text: str, folder: Path) -> ImageSpec:
    return parse_spec(text, source="spec.yaml", folder=folder)


def test_a_plugin_adds_what_it_needs(tmp_path: Path) -> None:
    """As if it were written in the spec; what the spec says goes over it."""
    spec = parsed("plugins: [DuckDB]\npackages: [polars]\n", tmp_path)
    assert set(spec.packages) == {"polars", *find_plugin("duckdb").packages}
    spark = find_plugin("spark")
    spec = parsed("plugins: [spark]\nenv: {JAVA_HOME: /mine, A: b}\n", tmp_path)
    assert {"JAVA_HOME": "/mine", "A": "b"}.items() <= dict(spec.env).items()
    assert spark.env.keys() <= spec.env.keys()
    assert set(spec.apt_packages) == set(spark.apt_packages)


def test_putting_in_twice_changes_nothing() -> None:
    """Whoever gets a spec need not know whether it was done."""
    once = with_plugins(ImageSpec(plugins=["spark", "duckdb"], env={"JAVA_HOME": "/mine"}))
    assert with_plugins(once) == once != with_plugins(ImageSpec(plugins=["duckdb"]))


def test_identity_follows_from_what_is_put_in(tmp_path: Path) -> None:
    """Plugins in another order and spelling are the same; a plugin more is not."""
    digests = {
        text: spec_digest(parsed(f"plugins: {text}\n", tmp_path), tmp_path)
        for text in ("[duckdb, pandera]", "[Pandera, duckdb]", "[duckdb]", "[]")
    }
    assert digests["[duckdb, pandera]"] == digests["[Pandera, duckdb]"]
    assert len(set(digests.values())) == 3


def test_each_cell_of_a_matrix_has_its_own(tmp_path: Path) -> None:
    """`plugins` is an axis like others."""
    path = tmp_path / "spec.yaml"
    path.write_text("matrix: {plugins: [duckdb, [pandera, duckdb]]}\n")
    first, second = load_specs(path).values()
    assert "pandera[pandas]" in " ".join(second.packages) not in " ".join(first.packages)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plugins:\n- duckdb\n- sparc\n", "spec.yaml:3: plugins: there is no plugin 'sparc' (did "),
        ("plugins:\n- qqqqqq\n", "(`imagekit plugins` lists them)"),
        (
            "plugins:\n- whylogs\npython_version: 3.12\n",
            "spec.yaml:2: plugins: whylogs does not work with Python 3.12: whylogs-sketching ",
        ),
        (
            "name: a\nplugins:\n- vaex\n- dask\n",
            "spec.yaml:3: plugins: dask and vaex can't share an image: dask needs dask",
        ),
    ],
)
def test_wrong_plugins_are_told_with_their_line(text: str, told: str, tmp_path: Path) -> None:
    """Before anything is resolved."""
    with pytest.raises(SpecError) as caught:
        parsed(text, tmp_path)
    assert told in str(caught.value)
