# SPDX-License-Identifier: Apache-2.0
"""`imagekit plugins`, as it is typed."""

from __future__ import annotations

import json
from dataclasses import fields

from click.testing import CliRunner, Result

from imagekit.catalogue.find import find_plugin, own_names
from imagekit.cli.main import program


def run(*words: str) -> Result:
    return CliRunner().invoke(program, ["plugins", *words])


def test_all_are_listed() -> None:
    """A line each, with where its work is done; JSON has everything."""
    lines = run().stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(own_names())
    assert all(line.split()[1] == find_plugin(line.split()[0]).runs for line in lines)
    told = json.loads(run("--output", "json").stdout)["plugins"]
    assert [each["name"] for each in told] == list(own_names())
    assert all(set(each) == {x.name for x in fields(find_plugin("dask"))} for each in told)


def test_one_is_explained() -> None:
    """What it adds, what else it needs, and what it can't share an image with and why."""
    text = run("show", "vaex").stdout
    assert "  packages      vaex-core>=" in text
    assert "vaex and dask can't share an image: vaex needs dask<" in text
    told = json.loads(run("show", "vaex", "--output", "json").stdout)
    assert "dask" in told["conflicts"]
    assert told["packages"] == list(find_plugin("vaex").packages)
    assert "needs java: " in run("show", "spark").stdout


def test_an_unknown_one_is_refused_with_near_names() -> None:
    """As a wrong command line."""
    result = run("show", "pandra")
    assert result.exit_code == 2
    assert "there is no plugin 'pandra'; did you mean pandera" in result.output
