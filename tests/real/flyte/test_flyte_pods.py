# SPDX-License-Identifier: Apache-2.0
"""A sidecar in a task's pod template, as the real flytekit registers it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest

from sidecars import problems_of
from tests.house.project import ROOT

SCRIPT = Path(__file__).parent / "pods.py"
FLYTEKIT = os.environ.get("FLYTEKIT_PYTHON", "")
pytestmark = pytest.mark.skipif(not FLYTEKIT, reason="FLYTEKIT_PYTHON is not set")


def test_flytekit_registers_a_task_with_its_sidecar() -> None:
    """Its own container, filled in by Flyte, beside the server and its steps; the pod is sound."""
    done = subprocess.run(
        [FLYTEKIT, str(SCRIPT)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["config"]["primary_container_name"] == "primary"
    assert found["metadata"]["labels"] == {"team": "a"}
    # In flyteidl a pod's spec is a Struct, whose numbers are all of one kind.
    spec = json.loads(json.dumps(found["podSpec"]), parse_float=lambda text: int(float(text)))
    names = [each["name"] for each in spec["initContainers"]]
    assert names == ["model-server-prepare", "model-server", "model-server-gate"]
    (task,) = spec["containers"]
    assert task["image"] == "registry.example/team/task:1"
    assert task["args"][0] == "pyflyte-execute"
    variables = {each["name"] for each in task["env"]}
    assert "SIDECAR_MODEL_SERVER_URL" in variables
    # Flyte's backend fills this in, in init containers too.
    assert spec["initContainers"][0]["args"][-2:] == ["--inputs", "{{.input}}"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "task"}, "spec": spec}
    assert problems_of(pod) == []
    kubernetes_validate.validate(pod, "1.36", strict=True)
