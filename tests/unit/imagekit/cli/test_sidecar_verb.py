# SPDX-License-Identifier: Apache-2.0
"""`imagekit sidecar`, by its command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from imagekit.cli.main import main
from tests.unit.sidecars.pods import pod


@pytest.fixture
def path(tmp_path: Path) -> str:
    found = tmp_path / "pod.yaml"
    found.write_text(yaml.safe_dump(pod()))
    return str(found)


def test_attach_prints_a_pod(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Which `check` finds nothing wrong with, and which can be attached to again."""
    words = ["sidecar", "attach", "vllm", "--model", "org/model", "--pod", path]
    assert main(words) == 0
    text = capsys.readouterr().out
    Path(path).write_text(text)
    assert main(["sidecar", "check", path]) == 0
    assert capsys.readouterr().out == ""
    assert main(words) == 0
    assert capsys.readouterr().out == text


def test_render_prints_what_would_be_added(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a pod."""
    assert main(["sidecar", "render", "ollama", "--model", "llama3.2"]) == 0
    document = yaml.safe_load(capsys.readouterr().out)
    assert [each["name"] for each in document["initContainers"]] == [
        "model-server",
        "model-server-fetch",
        "model-server-gate",
    ]
    assert set(document) == {"initContainers", "volumes", "env"}
    words = ["sidecar", "render", "ollama", "--model", "llama3.2", "--output", "json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == document


def test_check_lists_problems(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One per line, or as JSON, and fails."""
    broken = pod(volumes=[{"name": "a"}, {"name": "a"}], activeDeadlineSeconds=0)
    Path(path).write_text(yaml.safe_dump(broken))
    assert main(["sidecar", "check", path]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert main(["sidecar", "check", path, "--output", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"problems": lines}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["vllm", "--model", "m", "--set", "port=1"], "driven by port"),
        (["vllm", "--model", "m", "--image", "x"], "not pinned"),
        (["ollama", "--model", "m", "--set", "keepalive=1"], "no setting 'keepalive'; there are"),
        (["ollama", "--model", "m", "--hf-token", "hub/token"], "no setting 'hf_token'"),
        (["nim", "--model", "m"], "image is missing"),
        (["ollama", "--model", "m", "--set", "create={a: {{.inputs.b}}}"], "YAML's quotes"),
        (["vllm", "--model", "m", "--set", "x=[1"], "--set x: "),
        (["vllm", "--model", "m", "--files", "https://h.example/f?sig=1"], "as HTTP_QUERY"),
    ],
)
def test_what_is_wrong_is_told(
    path: str, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an error, not as a traceback."""
    assert main(["sidecar", "attach", *words, "--pod", path]) == 1
    captured = capsys.readouterr()
    assert reason in captured.err
    assert captured.out == ""


def test_an_input_needs_no_quotes_of_yaml(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`{{` begins no mapping of a mapping."""
    words = ["--model", "m", "--set", "max-model-len={{.inputs.length}}", "--inputs", "{{.input}}"]
    assert main(["sidecar", "attach", "vllm", *words, "--pod", path]) == 0
    assert "max-model-len" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--adapter-lock", "a=none"],
        ["--adapter", "a=hf://o/m", "--adapter-lock", "a=none"],
        ["--env", "A"],
        ["--api-key", "sk-123"],
        ["--store", "models"],
        ["--set", "=1"],
    ],
)
def test_a_wrong_command_line_ends_with_two(path: str, words: list[str]) -> None:
    """A key that is written out is one: only its name belongs there."""
    command = ["sidecar", "attach", "vllm", "--model", "m", "--pod", path, *words]
    assert main(command) == 2


@pytest.mark.parametrize("text", ["[]", "a: [", ""])
def test_what_is_no_pod_is_told(path: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where it is no YAML."""
    Path(path).write_text(text)
    assert main(["sidecar", "check", path]) == 1
    assert "reading" in capsys.readouterr().err
