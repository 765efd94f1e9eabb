# SPDX-License-Identifier: Apache-2.0
"""Models of the real kubernetes client, of both sides of its change at version 37."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.house.project import ROOT

SCRIPT = Path(__file__).parent / "client_models.py"
GOLDEN = sorted((ROOT / "tests/golden/pods").glob("*/out.yaml"))


@pytest.mark.network
@pytest.mark.parametrize(("version", "base"), [("<37", "object"), (">=37", "BaseModel")])
def test_models_go_in_and_come_out(tmp_path: Path, version: str, base: str) -> None:
    """Every golden pod survives, and a sidecar is attached to a pod, a spec and a template."""
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet"]
    subprocess.run([*uv, "--target", str(tmp_path), f"kubernetes{version}"], check=True)
    assert GOLDEN
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        input=json.dumps([yaml.safe_load(path.read_text()) for path in GOLDEN]),
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == base
