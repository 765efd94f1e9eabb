# SPDX-License-Identifier: Apache-2.0
"""What a pod has after `attach`, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sidecars import VLLM, ModelFiles, Ollama, PodError, Sidecar, attach
from sidecars.steps import RUNTIME
from tests.unit.sidecars.pods import CLAIM, KEY, KINDS, container, nim, ollama, pod, variables, vllm


def names(pod: dict[str, Any], key: str) -> list[str]:
    return [each["name"] for each in pod["spec"].get(key, [])]


@pytest.mark.parametrize("kind", KINDS)
def test_the_pod_that_is_given_stays_as_it_was(kind: str) -> None:
    """attach is pure: lists of the caller's do not grow."""
    given = pod(volumes=[{"name": "mine", "emptyDir": {}}])
    before = copy.deepcopy(given)
    result = attach(given, KINDS[kind]())
    result["spec"]["containers"][0]["env"].clear()
    result["spec"]["volumes"].clear()
    assert given == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_sidecar_starts_before_the_gate_and_both_after_the_pods_own_steps(kind: str) -> None:
    """The user's init containers first, then the server, then what holds the task back."""
    own = {"name": "prepare", "image": "registry.example/prepare:1"}
    result = attach(pod(initContainers=[own]), KINDS[kind]())
    order = names(result, "initContainers")
    assert order[:2] == ["prepare", "model-server"]
    assert order[-1] == "model-server-gate"
    server = container(result, "model-server")
    assert server["restartPolicy"] == "Always"
    assert "startupProbe" not in server
    assert "restartPolicy" not in container(result, "model-server-gate")


def test_several_servers_load_at_the_same_time() -> None:
    """All of them stand before the first step, in whichever order they are attached."""
    result = attach(attach(pod(), ollama(name="small")), vllm(name="large"))
    assert names(result, "initContainers") == [
        "small",
        "large",
        "small-fetch",
        "small-gate",
        "large-gate",
    ]


def test_the_gate_runs_our_runtime_from_the_tasks_image() -> None:
    """As the task's user, with the budget as its deadline and its last words as the message."""
    given = pod()
    task = given["spec"]["containers"][0]
    task |= {"securityContext": {"runAsUser": 1234, "privileged": True}, "imagePullPolicy": "Never"}
    gate = container(attach(given, vllm(startup_timeout=77)), "model-server-gate")
    assert gate["image"] == task["image"]
    assert gate["imagePullPolicy"] == "Never"
    assert gate["command"] == list(RUNTIME)
    assert gate["args"] == ["wait", "--name", "model-server", "--deadline", "77"]
    assert gate["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert gate["securityContext"]["runAsUser"] == 1234
    assert "privileged" not in gate["securityContext"]


def test_a_probe_takes_the_gates_place_with_the_same_budget() -> None:
    """Where no image has our runtime; liveness then needs no delay of its own."""
    result = attach(pod(), vllm(gate="probe", startup_timeout=95))
    server = container(result, "model-server")
    probe = server["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 100
    assert "initialDelaySeconds" not in server["livenessProbe"]
    assert names(result, "initContainers") == ["model-server"]


def test_loading_is_not_cut_short() -> None:
    """With a gate, liveness begins when the time to start is over."""
    sidecar = vllm(weights="140Gi", speed="100Mi")
    server = container(attach(pod(), sidecar), "model-server")
    assert sidecar.budget_seconds > 1400
    assert server["livenessProbe"]["initialDelaySeconds"] == sidecar.budget_seconds


@pytest.mark.parametrize("kind", KINDS)
def test_one_port_drives_everything(kind: str) -> None:
    """The server's flag or variable, the container's port, the probes, and the task's address."""
    result = attach(pod(), KINDS[kind](port=8123))
    server = container(result, "model-server")
    assert server["ports"] == [{"containerPort": 8123}]
    for probe in ("readinessProbe", "livenessProbe"):
        assert server[probe]["httpGet"]["port"] == 8123
    told = [*server.get("args", []), *(str(each.get("value")) for each in server.get("env", []))]
    assert any("8123" in word for word in told)
    for name in ("main", "model-server-gate"):
        found = variables(container(result, name))
        assert found["SIDECAR_MODEL_SERVER_URL"] == "http://127.0.0.1:8123"
    assert "8000" not in str(result)
    assert "11434" not in str(result)


def test_the_task_is_told_of_the_model_and_its_key() -> None:
    """The key by reference alone."""
    result = attach(pod(), vllm(served_name="base", api_key=KEY))
    reference = {"secretKeyRef": {"name": "server", "key": "key"}}
    for name in ("main", "model-server-gate"):
        found = variables(container(result, name))
        assert found["SIDECAR_MODEL_SERVER_MODEL"] == "base"
        assert found["SIDECAR_MODEL_SERVER_KIND"] == "vllm"
        assert found["SIDECAR_MODEL_SERVER_API_KEY"] == reference
    assert variables(container(result, "model-server"))["VLLM_API_KEY"] == reference


def test_shared_memory_is_counted_in_the_limit() -> None:
    """Its pages are the server's, and the kernel kills who has more than the limit."""
    server = container(attach(pod(), vllm(memory="10Gi", shm="6Gi")), "model-server")
    assert server["resources"]["limits"]["memory"] == "16Gi"
    assert server["resources"]["limits"].items() <= server["resources"]["requests"].items()


def disk_of(sidecar: Sidecar, given: dict[str, Any]) -> tuple[Any, Any]:
    """What the server asks for, and what it may take."""
    resources = container(attach(given, sidecar), "model-server")["resources"]
    return tuple(resources[key].get("ephemeral-storage") for key in ("requests", "limits"))


def test_the_disk_fits_the_weights() -> None:
    """Where they are downloaded into the pod; a claim leaves logs and scratch."""
    assert disk_of(vllm(weights="100Gi"), pod()) == ("122Gi", None)
    assert disk_of(vllm(weights="100Gi", store=CLAIM), pod()) == ("2Gi", None)
    store = attach(pod(), vllm(weights="100Gi"))["spec"]["volumes"][1]
    assert store["emptyDir"] == {"sizeLimit": "120Gi"}


def test_ollama_has_room_for_its_copy_of_files() -> None:
    """What a step brings lies in its store a second time, as blobs."""
    files = ModelFiles(source="https://files.example/base.gguf")
    assert disk_of(ollama(weights="10Gi", files=files), pod())[0] == "24Gi"
    assert disk_of(ollama(weights="10Gi"), pod())[0] == "14Gi"


def test_nothing_of_ours_limits_the_tasks_disk() -> None:
    """A kubelet takes one container's limit for a limit of the whole pod."""
    for make in KINDS.values():
        result = attach(pod(), make(gate="inject", gate_image="registry.example/runtime:1"))
        for each in result["spec"]["initContainers"]:
            assert "ephemeral-storage" not in each["resources"]["limits"]


def test_where_the_pod_limits_its_disk_the_weights_are_added() -> None:
    """They would be counted against the task's; of an unknown size they are refused."""
    given = pod()
    limits = {"limits": {"ephemeral-storage": "10Gi"}}
    given["spec"]["containers"][0]["resources"] = limits
    sidecar = vllm(weights="100Gi")
    assert disk_of(sidecar, given) == ("122Gi", "122Gi")
    both = attach(given, sidecar)
    assert attach(both, sidecar) == both
    with pytest.raises(PodError, match="size of the weights is not known"):
        attach(given, vllm(weights=None))


def test_without_a_size_no_disk_is_made_up() -> None:
    """A limit that is a guess evicts the pod in the middle of a download."""
    result = attach(pod(), vllm(weights=None))
    assert "ephemeral-storage" not in str(container(result, "model-server")["resources"])
    assert {"name": "model-server-store", "emptyDir": {}} in result["spec"]["volumes"]


def test_a_claim_is_given_to_the_group_of_the_image() -> None:
    """NIM runs as 1000:2000; a group that the pod names already stands."""
    fs_group = attach(pod(), nim(store=CLAIM))["spec"]["securityContext"]
    assert fs_group == {"fsGroup": 2000, "fsGroupChangePolicy": "OnRootMismatch"}
    own = {"fsGroup": 7, "runAsUser": 8}
    assert attach(pod(securityContext=own), nim(store=CLAIM))["spec"]["securityContext"] == own
    assert "securityContext" not in attach(pod(), nim())["spec"]


def test_gpus_of_task_and_server_are_refused_unless_they_add_up() -> None:
    """With their sum; the pod needs one node that has them all."""
    given = pod()
    resources = {"limits": {"nvidia.com/mig-1g.10gb": 1}}
    given["spec"]["containers"][0]["resources"] = resources
    with pytest.raises(PodError, match=r"add up to 3: 2 of the server.*main"):
        attach(given, vllm(gpu=2))
    both = attach(given, vllm(gpu=2), gpus_add_up=True)
    assert container(both, "main")["resources"] == resources
    assert attach(given, vllm(gpu=0, weights="1Gi"))
    assert attach(attach(pod(), vllm()), ollama(name="other"))


def test_the_tasks_container_is_found_by_name() -> None:
    """The only one, or Flyte's `primary`, or the one that is named."""
    given = pod()
    given["spec"]["containers"].append({"name": "other", "image": "registry.example/o:1"})
    with pytest.raises(PodError, match=r"no container 'primary'.*main, other"):
        attach(given, vllm())
    assert "env" in container(attach(given, vllm(), "other"), "other")
    given["spec"]["containers"][1]["name"] = "primary"
    assert "env" in container(attach(given, vllm()), "primary")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"initContainers": [{"name": "model-server", "image": "x:1"}]}, "another 'model-server'"),
        ({"volumes": [{"name": "model-server-shm", "emptyDir": {}}]}, "another 'model-server-shm'"),
        ({"restartPolicy": "OnFailure"}, "again for ever"),
        ({"activeDeadlineSeconds": 300}, "300 ends before the server's 344"),
        ({"terminationGracePeriodSeconds": 5}, "5 is less than the server's 30"),
        ({"volumes": "none"}, "`volumes` is no list"),
        ({"containers": []}, "no containers"),
        ({"template": {}}, "makes pods of its `spec.template`"),
    ],
)
def test_what_stands_in_the_way_is_named(spec: dict[str, Any], reason: str) -> None:
    """Nothing of the pod is replaced to make room."""
    with pytest.raises(PodError, match=reason):
        attach(pod(**spec), vllm())


def test_a_port_that_is_taken_is_found() -> None:
    """The API server takes both, and the second to bind dies."""
    given = pod()
    given["spec"]["containers"][0]["ports"] = [{"containerPort": 8000}]
    with pytest.raises(PodError, match="port '8000/TCP' is there 2 times"):
        attach(given, vllm())
    assert attach(given, vllm(port=8001))


def test_a_variable_of_the_tasks_own_is_not_replaced() -> None:
    """One of the same name and another value is a clash."""
    given = pod()
    given["spec"]["containers"][0]["env"] = [{"name": "SIDECAR_MODEL_SERVER_URL", "value": "x"}]
    with pytest.raises(PodError, match="'main': env already has another"):
        attach(given, vllm())


def test_the_tasks_variables_may_use_ours() -> None:
    """Kubernetes knows in $(VAR) only what is defined before it."""
    given = pod()
    own = {"name": "OPENAI_BASE_URL", "value": "$(SIDECAR_MODEL_SERVER_URL)/v1"}
    given["spec"]["containers"][0]["env"] = [own]
    assert container(attach(given, vllm()), "main")["env"][-1] == own


def test_a_template_without_an_image_names_the_gates() -> None:
    """Flyte fills the task's image in later; the gate needs one that has our runtime."""
    given = pod()
    del given["spec"]["containers"][0]["image"]
    with pytest.raises(PodError, match="no image for the gate"):
        attach(given, vllm())
    result = attach(given, vllm(gate_image="registry.example/team/task:1"))
    assert container(result, "model-server-gate")["image"] == "registry.example/team/task:1"
    assert "image" not in container(result, "main")


def test_every_image_and_amount_is_a_pinned_string() -> None:
    """Amounts that are numbers are what client models refuse since version 37."""
    result = pod()
    for number, (name, make) in enumerate(KINDS.items()):
        result = attach(result, make(name=name, port=7000 + number))
    for each in result["spec"]["initContainers"]:
        assert ":" in each["image"]
        for amounts in each["resources"].values():
            assert all(isinstance(amount, str) for amount in amounts.values())


def test_a_change_of_one_part_changes_no_other() -> None:
    """No two places of the result are one object."""
    result = attach(pod(), ollama())
    result["spec"]["initContainers"][1]["env"][0]["value"] = "changed"
    result["spec"]["initContainers"][1]["resources"]["limits"]["cpu"] = "changed"
    assert "changed" not in str(result["spec"]["initContainers"][2])
    assert "changed" not in str(result["spec"]["containers"])


def test_an_engine_of_somebody_elses_needs_no_change_here() -> None:
    """What vLLM and Ollama are made of is all that attach looks at."""
    engines = (VLLM(), Ollama())
    assert {
        attach(pod(), Sidecar(engine=engine, model="m"))["spec"]["restartPolicy"]
        for engine in engines
    } == {"Never"}
