# SPDX-License-Identifier: Apache-2.0
"""What flytekit's pods and sidecars get wrong, one test each: ours have none of it."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from sidecars import NIM, VLLM, ModelFiles, Ollama, PodError, attach
from tests.unit.sidecars.pods import CLAIM, KINDS, container, nim, ollama, pod, variables, vllm

EVERY = pytest.mark.parametrize("kind", KINDS)


def server(result: dict[str, Any]) -> dict[str, Any]:
    return container(result, "model-server")


def words(container: dict[str, Any]) -> list[str]:
    return [*container.get("command", []), *container.get("args", [])]


@EVERY
def test_images_of_init_containers_are_no_placeholders(kind: str) -> None:
    """Flyte fills in the task's image alone, so a step with a placeholder could never start."""
    given = pod()
    given["spec"]["containers"][0]["image"] = "{{.image.default.fqn}}"
    with pytest.raises(PodError, match="nobody fills its image"):
        attach(given, KINDS[kind]())
    result = attach(given, KINDS[kind](gate_image="registry.example/task:1"))
    for each in result["spec"]["initContainers"]:
        assert "{{" not in each["image"]


@EVERY
def test_the_users_pod_is_not_changed_and_does_not_grow(kind: str) -> None:
    """However often it is attached to, from the first pod or from the result."""
    given = pod()
    given["spec"]["containers"][0]["env"] = [{"name": "OWN", "value": "1"}]
    before = copy.deepcopy(given)
    results = [attach(given, KINDS[kind]()) for _ in range(3)]
    assert given == before
    assert results[0] == results[1] == results[2] == attach(results[2], KINDS[kind]())


@EVERY
def test_the_tasks_image_command_and_resources_stay(kind: str) -> None:
    """A sidecar is something beside them."""
    given = pod()
    own = {"command": ["python"], "resources": {"requests": {"cpu": "1"}}}
    given["spec"]["containers"][0] |= own
    task = container(attach(given, KINDS[kind]()), "main")
    assert {key: task[key] for key in (*own, "image")} == {**own, "image": task["image"]}
    assert task["image"] == "registry.example/team/task:1"


@EVERY
def test_one_value_is_request_and_limit(kind: str) -> None:
    """Of processors, memory and devices."""
    result = attach(pod(), KINDS[kind](cpu="3", memory="5Gi", weights="1Gi"))
    resources = server(result)["resources"]
    assert resources["limits"].items() <= resources["requests"].items()
    assert resources["limits"]["cpu"] == "3"


@EVERY
def test_the_port_reaches_the_server(kind: str) -> None:
    """Not only the probe and the address."""
    found = server(attach(pod(), KINDS[kind](port=8123)))
    told = [*words(found), *(str(value) for value in variables(found).values())]
    assert any(re.search(r"\b8123\b", word) for word in told)


def test_tensor_parallel_servers_have_shared_memory() -> None:
    """In memory, with a size, and counted in the limit."""
    result = attach(pod(), vllm(gpu=4, memory="10Gi"))
    (shm,) = (each for each in result["spec"]["volumes"] if each["name"] == "model-server-shm")
    assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}
    assert server(result)["resources"]["limits"]["memory"] == "18Gi"


@pytest.mark.parametrize("make", [vllm, ollama, nim])
def test_weights_have_room_and_may_stay(make: Any) -> None:
    """No limit of 1Gi for all of them, and a claim that keeps them."""
    disk = server(attach(pod(), make(weights="40Gi")))["resources"]["requests"]["ephemeral-storage"]
    assert disk == "50Gi"
    kept = attach(pod(), make(weights="40Gi", store=CLAIM))
    assert {"name": "model-server-store", **CLAIM} in kept["spec"]["volumes"]


@EVERY
def test_every_image_has_a_version(kind: str) -> None:
    """Or a digest: the same pod is the same tomorrow."""
    for each in attach(pod(), KINDS[kind]())["spec"]["initContainers"]:
        assert re.search(r":v?\d|@sha256:", each["image"].rpartition("/")[2])


def test_public_models_need_no_secret() -> None:
    """Of a hub or of anybody."""
    assert "secretKeyRef" not in json.dumps(attach(pod(), vllm()))
    assert "secretKeyRef" not in json.dumps(attach(pod(), nim(engine=NIM())))


@EVERY
def test_the_server_takes_variables(kind: str) -> None:
    """Beside its own, which they do not replace."""
    found = variables(server(attach(pod(), KINDS[kind](env={"OWN": "1"}))))
    assert found["OWN"] == "1"
    assert len(found) > 1


@EVERY
def test_a_server_is_waited_for_and_watched(kind: str) -> None:
    """Each kind, also Ollama, which has no health route that tells of a model."""
    result = attach(pod(), KINDS[kind]())
    assert {"readinessProbe", "livenessProbe"} <= set(server(result))
    assert container(result, "model-server-gate")["args"][0] == "wait"


@EVERY
def test_amounts_are_strings(kind: str) -> None:
    """As the kubernetes client's models want them since version 37."""
    for each in attach(pod(), KINDS[kind]())["spec"]["initContainers"]:
        for amounts in each["resources"].values():
            assert all(isinstance(amount, str) for amount in amounts.values())


@pytest.mark.parametrize(
    ("value", "spelled"),
    [(True, ["--x"]), (False, ["--no-x"]), ([1, 2], ["--x", "1", "2"]), ({}, ["--x", "{}"])],
)
def test_arguments_keep_their_types(value: Any, spelled: list[str]) -> None:
    """None is the word `True`, or a list as Python prints it."""
    args = server(attach(pod(), vllm(engine=VLLM(arguments={"x": value}))))["args"]
    assert args[-len(spelled) :] == spelled


def test_a_modelfile_becomes_fields() -> None:
    """Current servers read no such text; its braces are those that were written."""
    text = 'FROM llama3.2\nTEMPLATE """{{ .System }} {"a": {{ .Prompt }}}"""\nPARAMETER stop {'
    result = attach(pod(), ollama(engine=Ollama(modelfile=text)))
    create = json.loads(variables(container(result, "model-server-fetch"))["OLLAMA_CREATE"])
    assert create == {
        "from": "llama3.2",
        "template": '{{ .System }} {"a": {{ .Prompt }}}',
        "parameters": {"stop": ["{"]},
    }


@EVERY
def test_nothing_is_installed_when_the_pod_starts(kind: str) -> None:
    """Steps run our runtime, never a shell with a program in its words."""
    engine = {"ollama": Ollama(create={"from": "base"})}.get(kind)
    fields: dict[str, Any] = {"engine": engine} if engine else {}
    for each in attach(pod(), KINDS[kind](**fields))["spec"]["initContainers"]:
        if each["name"] != "model-server":
            assert each["command"] == ["/opt/venv/bin/python", "-I", "-m", "sidecars"]
        assert not re.search(r"\bpip\b|\bsh\b|python3? -c", " ".join(words(each)))


def test_a_cold_server_is_waited_for_longer_than_half_a_minute() -> None:
    """As long as its weights take at the stated speed."""
    result = attach(pod(), ollama(weights="140Gi", speed="100Mi"))
    step = container(result, "model-server-fetch")
    assert float(step["args"][step["args"].index("--deadline") + 1]) > 1400


def test_model_names_are_data() -> None:
    """Whatever is in them."""
    name = 'it\'s "$(HOME)" `x`; rm'
    found = variables(container(attach(pod(), ollama(model=name)), "model-server-fetch"))
    assert found["SIDECAR_MODEL_SERVER_MODEL"] == name.replace("$", "$$")


def test_tokens_of_adapters_are_on_no_command_line() -> None:
    """And all their files come, whatever they are called."""
    adapters = {"french": ModelFiles(source="hf://org/french")}
    step = container(attach(pod(), nim(adapters=adapters)), "model-server-prepare")
    assert step["args"] == ["prepare", "--name", "model-server", "--deadline", "1800"]
    assert "include" not in variables(step)["SIDECAR_WORK"]
