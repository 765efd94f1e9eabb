# SPDX-License-Identifier: Apache-2.0
"""A real vLLM on the CPU, as the rendered container starts it: one start, and what it answers."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sidecars
from sidecars import (
    NIM,
    VLLM,
    SecretKey,
    ServerDiedError,
    ServerRefusedError,
    ServerSlowError,
    Sidecar,
    attach,
)
from sidecars.prepare import prepare
from sidecars.steps import WORK
from tests.house.project import ROOT
from tests.real.sidecars.servers import (
    Running,
    environment_of,
    make_tiny_model,
    nginx,
    port,
    random_key,
    running,
    vllm_python,
)
from tests.unit.sidecars.pods import container, pod, variables

pytestmark = pytest.mark.vllm
LENGTH = 384


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tiny")
    make_tiny_model(made)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    """It has an API key, a name, adapters of both kinds, and an argument of the task's inputs."""
    inputs = folder / "inputs"
    sidecar = Sidecar(
        engine=VLLM(
            arguments={"max_model_len": "{{.inputs.length}}", "enforce_eager": True},
            loras={"german": str(folder / "loras/german")},
            lora_directory=str(folder / "loras"),
            kv_cache_gib=1,
        ),
        model=str(folder / "model"),
        served_name="org/tiny",
        port=port(),
        gpu=0,
        weights="16Mi",
        inputs=str(folder / "inputs.json"),
        api_key=SecretKey("server", "key"),
        volumes={str(folder): {"hostPath": {"path": str(folder)}}},
    )
    (folder / "inputs.json").write_text(json.dumps({"length": LENGTH}))
    with running(sidecar, folder, {"key": random_key()}, {"/task-inputs": str(inputs)}) as started:
        work = variables(container(started.pod, "model-server-prepare"))[WORK].replace("$$", "$")
        prepare({WORK: work}, str(folder / "inputs.json"), 60, lambda _: None, str(inputs))
        gate = started.gate()
        assert gate.returncode == 0, gate.stderr + started.log.read_text()[-3000:]
        yield started


def ask(server: Running, path: str, data: dict[str, Any]) -> Any:
    found = sidecars.connect(environment=server.task_environment)
    place = found.url.removeprefix("http://")
    connection = http.client.HTTPConnection(place, timeout=120)
    headers = {"Content-Type": "application/json"}
    if found.key is not None:
        headers["Authorization"] = f"Bearer {found.key}"
    connection.request("POST", path, json.dumps(data), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == 200, text
    return text if data.get("stream") else json.loads(text)


def completion(server: Running, model: str) -> str:
    data = {"model": model, "prompt": "Hello there", "max_tokens": 16, "temperature": 0}
    return str(ask(server, "/v1/completions", data)["choices"][0]["text"])


def test_the_task_is_connected_to_the_model(server: Running) -> None:
    """By the name that the sidecar gives it, with the key of the secret."""
    found = sidecars.connect(environment=server.task_environment)
    assert found.model == "org/tiny"
    assert found.key == server.secrets["key"]


def test_it_chats(server: Running) -> None:
    """In one answer, and as a stream that ends."""
    data: dict[str, Any] = {
        "model": "org/tiny",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 4,
    }
    answer = ask(server, "/v1/chat/completions", data)
    assert answer["usage"]["completion_tokens"] >= 1
    stream = ask(server, "/v1/chat/completions", {**data, "stream": True})
    assert stream.strip().endswith("data: [DONE]")
    assert stream.count("data: {") >= 2


def test_adapters_answer_by_their_names(server: Running) -> None:
    """The one of its arguments, and one of the folder that nobody named before."""
    said = {model: completion(server, model) for model in ("org/tiny", "german", "french")}
    assert len(set(said.values())) == 3, said


def test_a_wrong_key_is_refused(server: Running) -> None:
    """At once, in the task's words."""
    environment = {**server.task_environment, "SIDECAR_MODEL_SERVER_API_KEY": "wrong"}
    with pytest.raises(ServerRefusedError, match="401"):
        sidecars.connect(environment=environment)


def test_an_input_of_the_task_reached_it(server: Running) -> None:
    """By the file of --config that the step wrote."""
    with_limit = server.log.read_text()
    assert f"max_model_len': {LENGTH}" in with_limit or f"max_seq_len={LENGTH}" in with_limit


def ran_example(name: str, call: str, server: Running) -> Any:
    """What the example's function returns, with OpenAI's own client."""
    places = [str(ROOT / "examples" / name / "src"), str(ROOT)]
    module = call.partition(".")[0]
    code = f"import sys, json; sys.path[:0] = {places!r}; import {module};"
    done = subprocess.run(
        [vllm_python(), "-c", f"{code} print(json.dumps({call}))"],
        env=server.task_environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_example_labels_its_texts(server: Running) -> None:
    """Many questions at once."""
    assert len(ran_example("vllm-batch", "label.run(['a fine day', 'a bad one'])", server)) == 2


@pytest.fixture(scope="module")
def nim(server: Running, folder: Path) -> Iterator[Running]:
    """NIM's contract before that vLLM: the routes and the port that a NIM container is told."""
    sidecar = Sidecar(
        engine=NIM(), model="org/tiny", image="example.org/nim/tiny:1.0", port=port(), gpu=0
    )
    rendered = attach(pod(), sidecar)
    told = environment_of(container(rendered, "model-server"), {})
    assert told["NIM_SERVER_PORT"] == told["NIM_HTTP_API_PORT"]
    behind = server.task_environment["SIDECAR_MODEL_SERVER_URL"]
    with nginx(folder, told["NIM_SERVER_PORT"], behind, server.secrets["key"]) as process:
        yield Running(rendered, process, folder / "nginx.log", {})


@pytest.mark.nginx
def test_a_nim_is_gated_and_connected_to(nim: Running) -> None:
    """By its own readiness, then by the model's first token."""
    probe = container(nim.pod, "model-server")["readinessProbe"]["httpGet"]
    assert probe["path"] == "/v1/health/ready"
    gate = nim.gate(60)
    assert gate.returncode == 0, gate.stderr
    found = sidecars.connect(environment=nim.task_environment)
    assert (found.model, found.key) == ("org/tiny", None)
    assert completion(nim, "org/tiny")


@pytest.mark.nginx
def test_the_nim_example_compares(nim: Running) -> None:
    """The model with its adapter, by the adapter's name."""
    said = ran_example("nim-lora", "compare.run('Hello there', 'french')", nim)
    assert set(said) == {"org/tiny", "french"}
    assert said["org/tiny"] != said["french"]


def test_it_ends_when_it_is_told_to(server: Running) -> None:
    """Long before the kubelet would kill it; and then the task is told that it died."""
    server.stop(30)
    with pytest.raises(ServerDiedError, match="the server died"):
        sidecars.connect(environment=server.task_environment, timeout=0.5)


@pytest.mark.nginx
def test_a_nim_that_lives_without_its_model_is_slow(nim: Running) -> None:
    """Live is 200 at once, so nobody may take that for an answer."""
    place = nim.task_environment["SIDECAR_MODEL_SERVER_URL"].removeprefix("http://")
    connection = http.client.HTTPConnection(place, timeout=10)
    connection.request("GET", "/v1/health/live")
    assert connection.getresponse().status == 200
    connection.close()
    with pytest.raises(ServerSlowError, match="502"):
        sidecars.connect(environment=nim.task_environment, timeout=1)
