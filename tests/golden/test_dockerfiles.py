# SPDX-License-Identifier: Apache-2.0
"""The Dockerfile of each case's plan. To add one: a folder in cases/."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from imagekit.planning.dockerfile import render_dockerfile
from tests.golden.compare import check_golden
from tests.golden.test_plans import CASES, plan_of

RENDERED = sorted(CASES.iterdir())
HADOLINT = Path(sysconfig.get_path("scripts"), "hadolint")


@pytest.mark.parametrize("case", RENDERED, ids=lambda case: case.name)
def test_a_dockerfile_is_the_reviewed_one(case: Path) -> None:
    """Instruction by instruction."""
    rendered = render_dockerfile(plan_of(case), "base.example/image:1")
    check_golden(case / "Dockerfile", rendered.text)


@pytest.mark.parametrize("case", RENDERED, ids=lambda case: case.name)
@pytest.mark.parametrize("link", [True, False], ids=["link", "no-link"])
def test_hadolint_finds_nothing(case: Path, tmp_path: Path, link: bool) -> None:
    """Not even in its advice on style."""
    file = tmp_path / "Dockerfile"
    file.write_text(render_dockerfile(plan_of(case), "base.example/image:1", link=link).text)
    done = subprocess.run(
        [HADOLINT, "--no-color", str(file)], capture_output=True, text=True, check=False
    )
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)
