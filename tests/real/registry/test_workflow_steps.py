# SPDX-License-Identifier: Apache-2.0
"""The steps of the workflow that builds images, run here: same lines, same environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.registry_server import Server
from tests.house.project import ROOT
from tests.unit.imagekit.fleet.fleet_project import Fleet

pytestmark = pytest.mark.registry
ACTION = yaml.safe_load((ROOT / "actions/images/action.yml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/build-images.yml").read_text())
PYTHON = sys.executable
EXPRESSION = re.compile(r"\$\{\{ *([^}]+?) *\}\}")


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(tmp_path, monkeypatch)


def run_job(name: str, values: Mapping[str, str], fleet: Fleet) -> dict[str, str]:
    """The outputs of a job's step that uses our action; `values` are what its expressions give."""
    steps = [each for each in WORKFLOW["jobs"][name]["steps"] if "actions/images" in each["uses"]]
    (step,) = (each for each in steps if each["with"]["target"] == name)
    inputs = {key: str(given.get("default", "")) for key, given in ACTION["inputs"].items()}
    inputs |= {key: str(filled(text, values)) for key, text in step["with"].items()}
    (run,) = (each for each in ACTION["runs"]["steps"] if each.get("id") == "run")
    known = {f"inputs.{key}": text for key, text in inputs.items()}
    known |= {"github.workspace": str(fleet.root), "steps.python.outputs.python-path": PYTHON}
    outputs = fleet.root / "outputs"
    outputs.write_text("")
    environment = {
        **os.environ,
        **{key: filled(text, known) for key, text in run["env"].items()},
        "GITHUB_ACTION_PATH": str(ROOT / "actions/images"),
        "GITHUB_OUTPUT": str(outputs),
    }
    command = ["bash", "-e", "-c", run["run"]]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return dict(line.split("=", 1) for line in outputs.read_text().splitlines())


def filled(text: Any, values: Mapping[str, str]) -> str:
    return EXPRESSION.sub(lambda match: values.get(match[1], ""), str(text))


def rows(text: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(text)["include"]
    return found


def test_what_changed_is_built_part_by_part_and_put_together(fleet: Fleet, server: Server) -> None:
    """Matrix, one job per platform, one index per image; and then nothing is left to do."""
    registry = f"registry: {server.address}/workflow\n"
    two = f"name: two\n{registry}platform: [linux/amd64, linux/arm64]\nsource_root: src\n"
    fleet.write("two", two, fleet.project.wheel("alpha"))
    fleet.write("one", f"name: one\n{registry}", fleet.project.wheel("beta"))
    where = {"inputs.specs": ".", "inputs.push": "true"}

    found = run_job("matrix", where, fleet)
    parts = rows(found["parts"])
    assert [(part["spec"], part["platform"]) for part in parts] == [
        ("one/spec.yaml", "linux/amd64"),
        ("two/spec.yaml", "linux/amd64"),
        ("two/spec.yaml", "linux/arm64"),
    ]
    for part in parts[:2]:
        run_job("image", {**where, **matrix(part)}, fleet)
    # One machine was lost: only its part is left, and the index still waits.
    again = run_job("matrix", where, fleet)
    assert rows(again["parts"]) == [parts[2]]
    run_job("image", {**where, **matrix(parts[2])}, fleet)
    again = run_job("matrix", where, fleet)
    assert rows(again["parts"]) == []
    assert again["images"] == found["images"]
    for image in rows(again["images"]):
        run_job("index", {**where, **matrix(image)}, fleet)

    last = run_job("matrix", where, fleet)
    assert last == dict.fromkeys(("images", "parts", "later"), '{"include": []}')
    (fleet.root / "two/src/task.py").write_text("changed")
    changed = run_job("matrix", where, fleet)
    assert [part["spec"] for part in rows(changed["parts"])] == ["two/spec.yaml"] * 2


def matrix(row: Mapping[str, str]) -> dict[str, str]:
    return {f"matrix.{key}": value for key, value in row.items()}


def test_a_pull_request_builds_and_pushes_nothing(fleet: Fleet, server: Server) -> None:
    """The workflow is called with `push: false`."""
    fleet.write("one", f"name: fork\nregistry: {server.address}/workflow\n")
    where = {"inputs.specs": ".", "inputs.push": "false"}
    (part,) = rows(run_job("matrix", where, fleet)["parts"])
    before = len(server.log.read_text())
    run_job("image", {**where, **matrix(part)}, fleet)
    assert "PUT" not in server.log.read_text()[before:]
    assert rows(run_job("matrix", where, fleet)["parts"]) == [part]


FAKE_GH = """\
#!/bin/sh
echo "$@" >> "$GH_CALLS"
test "$2" != list || echo "[]"
"""


def test_what_a_refresh_changed_is_proposed_once(
    fleet: Fleet, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a branch of its own, with nothing but the change; without one nothing is asked."""
    origin = tmp_path_factory.mktemp("origin")
    subprocess.run(["git", "init", "--quiet", "--bare", origin], check=True)
    program = origin / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(FAKE_GH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("GH_CALLS", str(origin / "calls"))
    monkeypatch.setenv("FROM", str(fleet.root))
    monkeypatch.setenv("BRANCH", "imagekit/refresh")
    fleet.write("a", "name: a\n", fleet.project.wheel("alpha"))
    fleet.commit("begin")
    fleet.git("remote", "add", "origin", str(origin))
    propose = ["make", "--silent", "-C", str(ROOT), "proposal"]

    subprocess.run(propose, check=True)
    assert not (origin / "calls").exists()
    fleet.lock(fleet.root / "a" / "spec.yaml", [fleet.project.wheel("alpha", "2.0")])
    subprocess.run(propose, check=True)

    calls = (origin / "calls").read_text().splitlines()
    assert calls[0] == "auth setup-git"
    assert calls[2] == "pr create --fill --head imagekit/refresh"
    shown = ["git", "-C", str(origin), "show", "--name-only", "--format=", "imagekit/refresh"]
    changed = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
    assert changed.split() == ["a/pylock.toml"]
