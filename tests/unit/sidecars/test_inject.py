# SPDX-License-Identifier: Apache-2.0
"""The runtime in a task's image that has none: packed by a step, run by the image's own Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecars import ModelFiles, OptionError, attach
from sidecars.inject import inject
from tests.fakes.fake_model_server import Script, serving
from tests.unit.sidecars.pods import container, ollama, pod, variables, vllm

OURS = "registry.example/team/runtime:1"


def injected(**fields: Any) -> dict[str, Any]:
    return attach(pod(), vllm(gate="inject", gate_image=OURS, **fields))


def test_our_image_packs_the_runtime_and_the_tasks_image_runs_it() -> None:
    """From a volume that both have; the task finds it there as well."""
    result = injected(files=ModelFiles(source="hf://org/model"))
    order = [each["name"] for each in result["spec"]["initContainers"]]
    names = ["prepare", "", "gate"]
    assert order == ["imagekit-inject", *(f"model-server-{each}".rstrip("-") for each in names)]
    packer = container(result, "imagekit-inject")
    assert packer["image"] == OURS
    assert packer["args"] == ["inject", "/opt/imagekit/sidecars.pyz"]
    for name in ("model-server-prepare", "model-server-gate"):
        step = container(result, name)
        assert step["image"] == "registry.example/team/task:1"
        assert step["command"] == ["python3", "-I", "/opt/imagekit/sidecars.pyz"]
        assert {"name": "imagekit-runtime", "mountPath": "/opt/imagekit", "readOnly": True} in step[
            "volumeMounts"
        ]
    task = container(result, "main")
    assert variables(task)["SIDECARS_RUNTIME"] == "/opt/imagekit/sidecars.pyz"
    assert task["volumeMounts"][0]["mountPath"] == "/opt/imagekit"


def test_two_sidecars_share_one_runtime() -> None:
    """It is packed once."""
    result = attach(injected(), ollama(name="small", gate="inject", gate_image=OURS))
    names = [each["name"] for each in result["spec"]["initContainers"]]
    assert names.count("imagekit-inject") == 1
    assert names.index("small") < names.index("model-server-gate")


def test_an_image_of_ours_is_needed() -> None:
    """Nothing is downloaded at the start of a pod."""
    with pytest.raises(OptionError, match="needs gate_image"):
        vllm(gate="inject")


def test_the_packed_runtime_waits_and_connects(tmp_path: Path) -> None:
    """Alone, as its path is all that a foreign image has of it; the same bytes each time."""
    runtime = tmp_path / "sidecars.pyz"
    inject(str(runtime))
    first = runtime.read_bytes()
    inject(str(runtime))
    assert runtime.read_bytes() == first
    with serving(Script()) as script:
        environment = {
            "SIDECAR_MODEL_SERVER_URL": script.url,
            "SIDECAR_MODEL_SERVER_MODEL": script.model,
            "SIDECAR_MODEL_SERVER_KIND": "vllm",
            "SIDECARS_RUNTIME": str(runtime),
        }
        command = [sys.executable, "-I", str(runtime), "wait", "--deadline", "30"]
        subprocess.run(command, env=environment, cwd=tmp_path, check=True)
        code = (
            "import os, sys; sys.path.append(os.environ['SIDECARS_RUNTIME']);"
            "import sidecars; print(sidecars.connect().base_url, sidecars.__file__)"
        )
        done = subprocess.run(
            [sys.executable, "-S", "-c", code],
            env=environment,
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        )
    assert done.stdout.split() == [f"{script.url}/v1", f"{runtime}/sidecars/__init__.py"]


def test_the_packed_runtime_reads_a_tasks_inputs(tmp_path: Path) -> None:
    """With the entrypoint's command, which is in the same file."""
    runtime = tmp_path / "sidecars.pyz"
    inject(str(runtime))
    (tmp_path / "inputs.json").write_text('{"x": 1}')
    code = (
        f"import sys; sys.path.insert(0, {str(runtime)!r}); from sidecars.prepare import prepare;"
        f"prepare({{'SIDECAR_WORK': '{{}}'}}, 'inputs.json', 30, print, {str(tmp_path / 'out')!r})"
    )
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "out/inputs.json").read_text() == '{"x": 1}'
