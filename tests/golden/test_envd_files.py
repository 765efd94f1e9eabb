# SPDX-License-Identifier: Apache-2.0
"""The `build.envd` of each case's plan. To add one: a folder in cases/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from imagekit.builders.layerings import Layering, layerings
from imagekit.planning.envd import Applied, Copied, Piece, render_envd
from imagekit.planning.planner import Plan
from imagekit.planning.steps import InstallRuntime, InstallWheels, ListLibraries, MakeEnvironment
from tests.golden.compare import check_golden
from tests.golden.test_plans import CASES, plan_of

WHOLE = sorted(case for case in CASES.iterdir() if case.name not in ("cuda", "debian"))
"""Cases whose lock says all that layers are made from."""


class Below:
    """A base that is not looked at."""

    interpreter = "golden"

    def packages(self, section: Mapping[str, object]) -> Sequence[Layering]:
        raise AssertionError(section)

    def libraries(self, step: ListLibraries) -> Layering:
        raise AssertionError(step)


def pieces_of(plan: Plan) -> Iterator[Piece]:
    """What the context would hold, by numbers where digests stand."""
    plain = (MakeEnvironment, InstallWheels, InstallRuntime)
    for number, layering in enumerate(layerings(plan, Below()), 1):
        what = layering.created_by.removeprefix("imagekit: ")
        if isinstance(layering.step, plain):
            yield Copied(what, f"layers/{number}", ("opt",))
        else:
            yield Applied(what, f"layers/{number}.tar")


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_a_build_envd_is_the_reviewed_one(case: Path) -> None:
    """Call by call."""
    plan = plan_of(case)
    found = render_envd(plan, "base.example/image:1", list(pieces_of(plan)), has_bash=False)
    check_golden(case / "build.envd", found)
