# SPDX-License-Identifier: Apache-2.0
"""The Dockerfile of each case's plan. To add one: a folder in cases/."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from imagekit.builders.frontend import SENT_BASE
from imagekit.lock.model import Lock, Target
from imagekit.planning.dockerfile import render_dockerfile
from imagekit.planning.planner import Files, make_plan
from imagekit.spec.model import ImageSpec
from tests.golden.compare import check_golden
from tests.golden.test_plans import CASES, plan_of

RENDERED = sorted(CASES.iterdir())
ROOT = Path(__file__).parents[2]
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


PUBLISHED = {
    "python3.11-bookworm": ("3.11", "/usr/bin/python3.11"),
    "python3.13-trixie": ("3.13", "/usr/bin/python3.13"),
}
"""The embedded bases as images that specs stand on: version of Python, and where it is."""


def published(name: str) -> str:
    version, python = PUBLISHED[name]
    target = Target("linux/amd64", version, python, "2.36")
    lock = Lock("", target, {"kind": "debian"}, (), None, "")
    spec = ImageSpec(name=f"imagekit/{name}")
    plan = make_plan(spec, Files(Path()), lock, base_layers=1, made_by={})
    return render_dockerfile(plan, SENT_BASE).text


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_repository_has_the_dockerfiles_of_published_bases(name: str) -> None:
    """As they are rendered now, and without a finding of hadolint's."""
    path = ROOT / "dockerfiles" / f"{name}.Dockerfile"
    check_golden(path, published(name))
    done = subprocess.run([HADOLINT, str(path)], capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)
