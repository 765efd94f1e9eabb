# SPDX-License-Identifier: Apache-2.0
"""Each engine's example: its pod takes the server that its comment asks for, its task finds it."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from imagekit.cli.main import program
from imagekit.spec.load import load_spec
from sidecars.engines import ENGINES
from tests.fakes.fake_model_server import Script, serving
from tests.house.project import ROOT

EXAMPLES = {kind: next(ROOT.glob(f"examples/{kind}-*")) for kind in ENGINES}


def command_of(folder: Path) -> list[str]:
    """The command line in the comment of its pod.yaml, with what only a user has filled in."""
    lines = (folder / "pod.yaml").read_text().splitlines()
    text = " ".join(line.removeprefix("#") for line in lines if line.startswith("#   "))
    text = text.replace("sha256:...", "sha256:" + "0" * 64).replace(" --lock model.lock", "")
    words = shlex.split(text)
    assert words[:3] == ["imagekit", "sidecar", "attach"]
    modelfile = folder / "Modelfile"
    return [
        word.replace("$(cat Modelfile)", modelfile.read_text() if modelfile.exists() else "")
        for word in words[1:]
    ]


def sidecar(*words: str) -> str:
    result = CliRunner().invoke(program, ["sidecar", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_command_of_an_example_works(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its pod is attached to, sound for check and schema; `render` has the same parts."""
    monkeypatch.chdir(EXAMPLES[kind])
    words = command_of(EXAMPLES[kind])[2:]
    text = sidecar("attach", *words)
    (tmp_path / "out.yaml").write_text(text)
    assert sidecar("check", str(tmp_path / "out.yaml")) == ""
    pod = yaml.safe_load(text)
    kubernetes_validate.validate(pod, "1.36", strict=True)
    task = pod["spec"]["containers"][0]
    place = words.index("--pod")
    own = [*words[:place], *words[place + 2 :]]
    if "--gate-image" not in own:
        own += ["--gate-image", task["image"]]
    parts = yaml.safe_load(sidecar("render", *own))
    assert parts["volumes"] == pod["spec"]["volumes"]
    assert [each["name"] for each in parts["initContainers"]] == [
        each["name"] for each in pod["spec"]["initContainers"]
    ]
    assert parts["env"] == task["env"][: len(parts["env"])]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_examples_task_is_where_its_pod_says(kind: str) -> None:
    """MODULE:FUNCTION of the pod's arguments is in the spec's sources."""
    folder = EXAMPLES[kind]
    spec = load_spec(folder / "spec.yaml")
    pod = yaml.safe_load((folder / "pod.yaml").read_text())
    module, _, function = pod["spec"]["containers"][0]["args"][1].partition(":")
    source = folder / str(spec.source_root) / f"{module}.py"
    assert re.search(rf"^def {function}\(", source.read_text(), re.MULTILINE)


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_without_a_client_library_embeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a fake of its server."""
    with serving(Script()) as script:
        for suffix, value in (("URL", script.url), ("MODEL", script.model), ("KIND", "openai")):
            monkeypatch.setenv(f"SIDECAR_MODEL_SERVER_{suffix}", value)
        assert loaded(EXAMPLES["openai"] / "src/embed.py").run(["one"]) == [1]
