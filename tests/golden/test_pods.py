# SPDX-License-Identifier: Apache-2.0
"""Pods as they are rendered: each folder has a pod, a command line, and the pod that comes out."""

from __future__ import annotations

import dataclasses
import re
import shlex
from inspect import signature
from pathlib import Path

import click
import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from imagekit.cli.main import program
from imagekit.cli.sidecar import command as sidecar
from sidecars import Sidecar, problems_of
from sidecars.engines import ENGINES, engine_class
from tests.golden.compare import check_golden

PODS = Path(__file__).parent / "pods"
CASES = sorted(path.name for path in PODS.iterdir())
VERSIONS = ("1.31", "1.36", "1.37")


@pytest.mark.parametrize("case", CASES)
def test_the_pod_is_the_reviewed_one(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the command line, a word of which may stand on each line."""
    folder = PODS / case
    monkeypatch.chdir(folder)
    words = shlex.split((folder / "command.txt").read_text(), comments=True)
    command = ["sidecar", "attach", *words, "--pod", str(folder / "in.yaml")]
    result = CliRunner().invoke(program, command)
    assert result.exit_code == 0, result.output
    check_golden(folder / "out.yaml", result.stdout)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_the_pod_fits_kubernetes_schemas(case: str, version: str) -> None:
    """Strictly: no field that Kubernetes does not have, since there are volumes of images."""
    pod = yaml.safe_load((PODS / case / "out.yaml").read_text())
    kubernetes_validate.validate(pod, version, strict=True)
    assert problems_of(pod) == []


def test_each_kind_of_server_and_each_option_has_a_case() -> None:
    """None is rendered unseen: neither an option of the command nor a setting of an engine."""
    commands = {case: (PODS / case / "command.txt").read_text() for case in CASES}
    together = "\n".join(commands.values()).replace("-", "_")
    attach = sidecar.get_command(click.Context(sidecar), "attach")
    assert attach is not None
    options = {each.name for each in attach.params if isinstance(each, click.Option)}
    options -= {"pod", "output"}
    unseen = {
        name
        for name in options
        if name and f"__{name.replace('native', 'ordinary')}" not in together
    }
    assert unseen == set()
    fields = {each.name for each in dataclasses.fields(Sidecar)} - {"engine"}
    assert {each for each in fields if not {each, each.removesuffix("s")} & options} == set()
    for kind in ENGINES:
        own = "\n".join(text for case, text in commands.items() if case.startswith(kind))
        settings = set(signature(engine_class(kind)).parameters) - {"arguments"}
        seen = {
            each for each in settings if re.search(rf"\b{each}=|{each.replace('_', '-')}\b", own)
        }
        assert seen == settings
