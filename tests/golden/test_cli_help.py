# SPDX-License-Identifier: Apache-2.0
"""What `--help` says, at a terminal of 80 columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from imagekit.cli.main import VERBS, program
from tests.golden.compare import check_golden

TEXTS = Path(__file__).parent / "cli"


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_is_the_reviewed_one(verb: str) -> None:
    """Of the program, and of each verb."""
    words = [*filter(None, [verb]), "--help"]
    result = CliRunner().invoke(program, words, prog_name="imagekit", terminal_width=80)
    assert result.exit_code == 0
    check_golden(TEXTS / f"{verb or 'imagekit'}.txt", result.stdout)


def test_each_text_is_a_verbs() -> None:
    """None is left of a verb that is gone."""
    assert {path.stem for path in TEXTS.iterdir()} == {"imagekit", *VERBS}
