# SPDX-License-Identifier: Apache-2.0
"""What each engine makes of a sidecar, and what a sidecar may not ask for."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from sidecars import NIM, VLLM, Ollama, OpenAI, OptionError, PodError, SecretKey, attach
from sidecars.engines.vllm import flag
from tests.unit.sidecars.pods import CLAIM, KEY, KINDS, container, nim, ollama, pod, variables, vllm


def server(sidecar: Any) -> dict[str, Any]:
    return container(attach(pod(), sidecar), "model-server")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "--max-len"),
        (False, "--no-max-len"),
        (None, ""),
        (7, "--max-len 7"),
        (0.5, "--max-len 0.5"),
        ("auto", "--max-len auto"),
        ("-1", "--max-len=-1"),
        ([1, "a"], "--max-len 1 a"),
        ({"b": [1]}, """--max-len '{"b": [1]}'"""),
    ],
)
def test_vllms_arguments_are_typed(value: Any, words: str) -> None:
    """Each type has its spelling."""
    assert list(flag("max_len", value)) == shlex.split(words)


@pytest.mark.parametrize(
    "name", ["port", "--port", "host", "model", "api-key", "served_model_name", "no_enable_lora"]
)
def test_what_a_field_drives_is_no_argument(name: str) -> None:
    """The task would look in another place, or a key would stand in the pod's text."""
    with pytest.raises(OptionError, match="driven by"):
        server(vllm(engine=VLLM(arguments={name: "x"})))


def test_arguments_reach_the_server_as_they_are() -> None:
    """Kubernetes would expand $(VAR) in them."""
    args = server(vllm(engine=VLLM(arguments={"x": "$(HOME) $5"})))["args"]
    assert args[-1] == "$$(HOME) $$5"


def test_vllm_spreads_over_its_gpus() -> None:
    """Unless the arguments say how."""
    assert shlex.join(server(vllm(gpu=4))["args"]).endswith("--tensor-parallel-size 4")
    args = server(vllm(gpu=4, engine=VLLM(arguments={"pipeline_parallel_size": 4})))["args"]
    assert "--tensor-parallel-size" not in args
    assert {"name": "model-server-shm", "mountPath": "/dev/shm"} in server(vllm())["volumeMounts"]


def test_vllm_on_the_cpu_asks_for_no_gpu() -> None:
    """And weights that do not fit the memory are found here, not by the kernel."""
    found = server(vllm(gpu=0, weights="5Gi"))
    assert "nvidia.com/gpu" not in found["resources"]["limits"]
    assert variables(found)["VLLM_CPU_KVCACHE_SPACE"] == "4"
    with pytest.raises(OptionError, match="need 20Gi of memory, and memory is 16Gi"):
        server(vllm(gpu=0, weights="16Gi"))


def test_vllm_takes_models_from_where_they_are() -> None:
    """The hub into the store, a folder from a volume, an object store as a stream."""
    assert server(vllm())["volumeMounts"][1]["mountPath"] == "/model-store"
    image = {"image": {"reference": "registry.example/weights:1"}}
    found = server(vllm(model="/models/x", volumes={"/models": image}))
    assert found["volumeMounts"][1:] == [
        {"name": "model-server-0", "mountPath": "/models", "readOnly": True}
    ]
    assert found["resources"]["requests"]["ephemeral-storage"] == "2Gi"
    stored = {"image": {"reference": "registry.example/weights:1"}}
    with pytest.raises(OptionError, match="read-only"):
        server(vllm(store=stored))
    assert server(vllm(model="/model-store/x", store=stored))["volumeMounts"][1]["readOnly"]
    assert "runai_streamer" in server(vllm(model="s3://bucket/x"))["args"]


def test_vllms_adapters_are_static_or_found_in_a_folder() -> None:
    """The folder has NIM's layout."""
    args = shlex.join(server(vllm(engine=VLLM(loras={"a": "/l/a", "b": "org/b"})))["args"])
    assert "--enable-lora --lora-modules a=/l/a b=org/b" in args
    found = variables(server(vllm(engine=VLLM(lora_directory="/loras"))))
    assert found["VLLM_LORA_RESOLVER_CACHE_DIR"] == "/loras"
    assert found["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"


def test_vllms_model_may_have_several_names() -> None:
    """The first is the one that the task is told."""
    engine = VLLM(aliases=("small", "large"))
    for fields, first in (({}, "org/model"), ({"served_name": "base"}, "base")):
        args = shlex.join(server(vllm(engine=engine, **fields))["args"])
        assert f"--served-model-name {first} small large" in args


def test_the_pod_waits_for_a_server_that_drains() -> None:
    """Where the arguments say so: its grace is longer than that, or it is refused."""
    patient = vllm(engine=VLLM(arguments={"shutdown-timeout": 100}))
    assert "--shutdown-timeout 100" in shlex.join(server(patient)["args"])
    assert attach(pod(), vllm())["spec"]["terminationGracePeriodSeconds"] == 60
    assert attach(pod(), patient)["spec"]["terminationGracePeriodSeconds"] == 140
    with pytest.raises(PodError, match="60 is less than the server's 110"):
        attach(pod(terminationGracePeriodSeconds=60), patient)


def test_a_token_for_the_hub_may_be_absent() -> None:
    """Public models need none, and the server starts without the secret if it is optional."""
    assert "HF_TOKEN" not in variables(server(vllm()))
    token = SecretKey("hub", "token", optional=True)
    found = variables(server(vllm(engine=VLLM(hf_token=token))))
    assert found["HF_TOKEN"]["secretKeyRef"] == {"name": "hub", "key": "token", "optional": True}


def test_ollama_pulls_by_our_runtime() -> None:
    """From the task's image, with nothing installed at the start of the pod."""
    result = attach(pod(), ollama())
    step = container(result, "model-server-fetch")
    assert step["args"][0] == "pull"
    assert "OLLAMA_CREATE" not in variables(step)
    found = variables(container(result, "model-server"))
    assert found["OLLAMA_HOST"] == "0.0.0.0:11434"
    assert found["OLLAMA_KEEP_ALIVE"] == "-1"


def test_ollama_makes_a_model_of_fields() -> None:
    """Braces and dollars of a template arrive as they were."""
    create = {"from": "llama3.2", "template": '{{ .Prompt }} $(X) {"a": 1}'}
    step = container(attach(pod(), ollama(engine=Ollama(create=create))), "model-server-fetch")
    text = variables(step)["OLLAMA_CREATE"]
    assert json.loads(text.replace("$$", "$")) == create
    assert "$$(X)" in text


def test_ollama_behind_a_probe_needs_the_model_in_its_store() -> None:
    """There is no step that could pull it; the probe asks for the model, not for the server."""
    with pytest.raises(OptionError, match="no step that could pull"):
        server(ollama(gate="probe"))
    probe = server(ollama(gate="probe", store=CLAIM))["startupProbe"]
    assert probe["exec"] == {"command": ["ollama", "show", "llama3.2:3b"]}


def test_nim_is_told_its_port_by_both_names() -> None:
    """Of 1.x and of 2.x; it runs as its image's user, with a large /dev/shm."""
    found = server(nim(port=8123))
    assert variables(found)["NIM_SERVER_PORT"] == "8123"
    assert variables(found)["NIM_HTTP_API_PORT"] == "8123"
    assert found["readinessProbe"]["httpGet"]["path"] == "/v1/health/ready"
    assert found["livenessProbe"]["httpGet"]["path"] == "/v1/health/live"
    assert found["securityContext"]["runAsUser"] == 1000
    assert found["securityContext"]["runAsGroup"] == 2000
    assert found["resources"]["limits"]["memory"] == "32Gi"


def test_nims_settings_are_its_variables() -> None:
    """And only those that are given."""
    engine = NIM(
        profile="abc",
        max_model_len=4096,
        passthrough=("--x", "a b"),
        peft_source="/loras",
        peft_refresh_seconds=30,
        air_gapped=True,
    )
    found = variables(server(nim(engine=engine, store=CLAIM)))
    assert found["NIM_MODEL_PROFILE"] == "abc"
    assert found["NIM_MAX_MODEL_LEN"] == "4096"
    assert found["NIM_PASSTHROUGH_ARGS"] == "--x 'a b'"
    assert found["NIM_PEFT_SOURCE"] == "/loras"
    assert found["NIM_PEFT_REFRESH_INTERVAL"] == "30"
    assert found["NIM_DISABLE_MODEL_DOWNLOAD"] == "1"
    assert "NIM_MODEL_PATH" not in found
    with pytest.raises(OptionError, match="air_gapped needs a store"):
        server(nim(engine=engine))


def test_another_server_is_told_its_port_somehow() -> None:
    """In an argument or a variable: the default of its image may be another."""
    image = "registry.example/server:1"
    with pytest.raises(OptionError, match="not told its port"):
        server(vllm(engine=OpenAI(args=("serve",)), image=image))
    found = server(vllm(engine=OpenAI(port_variable="PORT"), image=image))
    assert variables(found)["PORT"] == "8000"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"image": "registry.example/x"}, "not pinned"),
        ({"image": "registry.example:5000/x"}, "not pinned"),
        ({"image": "registry.example/x:latest"}, "not pinned"),
        ({"name": "Model_Server"}, "DNS label"),
        ({"name": "a" * 51}, "DNS label"),
        ({"model": ""}, "model is empty"),
        ({"port": 0}, "port 0"),
        ({"port": 65536}, "port 65536"),
        ({"gpu": -1}, "negative"),
        ({"memory": "16 GB"}, "no Kubernetes quantity"),
        ({"weights": "0"}, "not positive"),
        ({"speed": "-1Mi"}, "not positive"),
        ({"startup_timeout": 0}, "no time to start"),
        ({"env": {"HF_TOKEN": "hf_abc"}}, "belongs in secrets"),
        ({"env": {"A B": "x"}}, "no name of an environment variable"),
        ({"env": {"A": "x"}, "secrets": {"A": KEY}}, "both in env and in secrets"),
        ({"volumes": {"models": {}}}, "no absolute mount path"),
        ({"gate": "probe", "gate_image": "x:1"}, "no use"),
    ],
)
def test_a_wrong_description_is_refused_when_it_is_made(
    fields: dict[str, Any], reason: str
) -> None:
    """Before there is a pod."""
    with pytest.raises(OptionError, match=reason):
        vllm(**fields)


def test_all_problems_of_a_description_are_told_at_once() -> None:
    """Each by a line."""
    with pytest.raises(OptionError) as caught:
        vllm(port=0, gpu=-1, image="x")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(("kind", "name"), [("ollama", "OLLAMA_HOST"), ("nim", "NIM_SERVER_PORT")])
def test_variables_that_fields_drive_are_not_given_again(kind: str, name: str) -> None:
    """The port has one source."""
    with pytest.raises(PodError, match=f"{name} is set by the sidecar's own fields"):
        server(KINDS[kind](env={name: "1"}))


@pytest.mark.parametrize("kind", ["ollama", "nim"])
def test_a_key_is_refused_where_the_server_asks_for_none(kind: str) -> None:
    """A task that sends one would believe in a lock that is not there."""
    with pytest.raises(OptionError, match="asks its clients for none"):
        server(KINDS[kind](api_key=KEY))


def test_the_time_to_start_follows_from_the_weights() -> None:
    """At the stated speed; a stated time replaces it, and no size means the documented one."""
    assert vllm(weights="100Mi", speed="1Mi").budget_seconds == 180 + 100
    assert vllm(weights="100Mi", speed="1Mi", startup_timeout=5).budget_seconds == 5
    assert vllm(weights=None).budget_seconds == 1800
