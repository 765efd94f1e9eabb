# SPDX-License-Identifier: Apache-2.0
"""Pods as they are rendered: each folder has a pod, a command line, and the pod that comes out."""

from __future__ import annotations

import shlex
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from imagekit.cli.main import program
from sidecars import problems_of
from sidecars.engines import ENGINES
from tests.golden.compare import check_golden

PODS = Path(__file__).parent / "pods"
CASES = sorted(path.name for path in PODS.iterdir())
VERSIONS = ("1.31", "1.33", "1.36", "1.37")


@pytest.mark.parametrize("case", CASES)
def test_the_pod_is_the_reviewed_one(case: str) -> None:
    """From the command line, a word of which may stand on each line."""
    folder = PODS / case
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


def test_each_kind_of_server_has_a_case() -> None:
    """None is rendered unseen."""
    assert {case.partition("-")[0] for case in CASES} == set(ENGINES)
