# SPDX-License-Identifier: Apache-2.0
"""Model files and a task's inputs in the pod: who brings them, and how each server is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from entrypoint.wire.protobuf import encode
from sidecars import NIM, VLLM, ModelFiles, Ollama, OpenAI, OptionError, SecretKey, Sidecar, attach
from sidecars.client import Connection
from sidecars.errors import FilesError
from sidecars.fetch import fetch
from sidecars.prepare import prepare
from sidecars.quantity import format_bytes
from sidecars.steps import WORK
from tests.fakes.fake_hub import Hub, serving_hub
from tests.fakes.fake_model_server import Script, serving
from tests.unit.entrypoint.workdir import literal
from tests.unit.sidecars.pods import CLAIM, KINDS, container, nim, ollama, pod, variables, vllm

FILES = ModelFiles(source="hf://org/model")
LOCK = {
    "lock_version": 1,
    "asked": "hf://org/model",
    "source": "hf://org/model@c0ffee",
    "files": [{"path": "model.safetensors", "size_bytes": 5 * 1024**3, "sha256": "a" * 64}],
}


def work(result: dict[str, Any]) -> Any:
    text = variables(container(result, "model-server-prepare"))[WORK]
    return json.loads(text.replace("$$", "$"))


@pytest.mark.parametrize("kind", KINDS)
def test_files_come_before_the_server_that_reads_them(kind: str) -> None:
    """By a step from the task's image, into the store, at a path that the server is told."""
    sidecar = KINDS[kind](files=FILES)
    if kind == "openai":
        engine = OpenAI(args=("--port={port}", "--model={model}"))
        sidecar = KINDS[kind](files=FILES, engine=engine, api_key=None)
    result = attach(pod(), sidecar)
    order = [each["name"] for each in result["spec"]["initContainers"]]
    assert order[:2] == ["model-server-prepare", "model-server"]
    (download,) = work(result)["downloads"]
    assert download["source"] == "hf://org/model"
    limits = [each.get("emptyDir", {}).get("sizeLimit") for each in result["spec"]["volumes"]]
    if "room_bytes" in download:
        assert format_bytes(download["room_bytes"]) in limits
    server, step = (container(result, f"model-server{end}") for end in ("", "-prepare"))
    store = next(each for each in server["volumeMounts"] if each["name"] == "model-server-store")
    assert download["into"].startswith(f"{store['mountPath']}/files/org-model-")
    assert {"name": store["name"], "mountPath": store["mountPath"]} in step["volumeMounts"]
    told = json.dumps([server, result["spec"]["initContainers"][-2:]])
    assert download["into"] in told


def test_the_files_belong_to_the_servers_user() -> None:
    """Root's where the image's user is root: a claim is not everybody's."""
    for sidecar, user in ((vllm(files=FILES), 0), (nim(files=FILES), 1000)):
        context = container(attach(pod(), sidecar), "model-server-prepare")["securityContext"]
        assert context["runAsUser"] == user
        assert context["runAsNonRoot"] == bool(user)


def test_a_locked_size_is_what_time_and_disk_follow_from() -> None:
    """Nobody has to say it twice."""
    sidecar = vllm(files=ModelFiles(source="hf://org/model", lock=LOCK), weights=None)
    assert sidecar.budget_seconds == 180 + 52
    requests = container(attach(pod(), sidecar), "model-server")["resources"]["requests"]
    assert requests["ephemeral-storage"] == "8Gi"


def test_a_server_with_files_asks_no_hub() -> None:
    """vLLM would look for a newer revision; clients still call the model by its name."""
    server = container(attach(pod(), vllm(files=FILES)), "model-server")
    assert variables(server)["HF_HUB_OFFLINE"] == "1"
    args = server["args"]
    assert args[args.index("--served-model-name") + 1] == "org/model"


def test_adapters_come_in_nims_layout() -> None:
    """DIR/NAME; each engine is told in its own way."""
    adapters = {"french": ModelFiles(source="hf://org/french")}
    result = attach(pod(), nim(adapters=adapters))
    folder = variables(container(result, "model-server"))["NIM_PEFT_SOURCE"]
    assert work(result)["downloads"][0]["into"] == f"{folder}/french"
    result = attach(pod(), vllm(adapters=adapters))
    into = work(result)["downloads"][0]["into"]
    args = container(result, "model-server")["args"]
    assert args[args.index("--lora-modules") + 1] == f"french={into}"
    result = attach(pod(), ollama(adapters=adapters, engine=Ollama(create={"from": "base"})))
    create = json.loads(variables(container(result, "model-server-fetch"))["OLLAMA_CREATE"])
    assert create["adapters"] == [work(result)["downloads"][0]["into"]]


def test_ollama_is_made_of_files_in_a_volume() -> None:
    """Which the fetching step reads too; other places are refused."""
    volume = {"persistentVolumeClaim": {"claimName": "gguf"}}
    engine = Ollama(modelfile="FROM /gguf/base.gguf\nADAPTER /gguf/style.gguf")
    step = container(
        attach(pod(), ollama(engine=engine, volumes={"/gguf": volume})), "model-server-fetch"
    )
    assert {"name": "model-server-0", "mountPath": "/gguf", "readOnly": True} in step[
        "volumeMounts"
    ]
    with pytest.raises(OptionError, match=r"/gguf/base\.gguf is in no volume"):
        attach(pod(), ollama(engine=engine))
    with pytest.raises(OptionError, match="either `from`"):
        attach(pod(), ollama(engine=Ollama(create={"system": "hi"})))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"files": ModelFiles(source="org/model")}, "none of hf://"),
        ({"files": ModelFiles(source="https://me:word@example.org/x")}, "belongs in a secret"),
        ({"files": ModelFiles(source="https://x.example/a?sig=1")}, "give it as HTTP_QUERY"),
        ({"adapters": {"a": ModelFiles(source="https://x.example/a?sig=1")}}, "as HTTP_QUERY"),
        ({"inputs": "https://x.example/inputs.pb?sig=1"}, "inputs: a query may be a signature"),
        ({"files": FILES, "fetch_env": {"HTTP_QUERY": "sig=1"}}, "belongs in fetch_secrets"),
        ({"files": ModelFiles(source="hf://org/other", lock=LOCK)}, "lock it again"),
        ({"files": ModelFiles(source="hf://org/model", lock={"files": []})}, "no lock"),
        ({"files": FILES, "store": {"image": {"reference": "x:1"}}}, "read-only"),
        ({"files": FILES, "gate": "probe"}, "need a step of our runtime"),
        ({"files": FILES, "fetch_env": {"HF_TOKEN": "hf_x"}}, "belongs in fetch_secrets"),
        ({"adapters": {"A/B": FILES}}, "no DNS label"),
        (
            {"files": ModelFiles(source="hf://org/model", lock=LOCK), "weights": "4Gi"},
            "weights are 4Gi, and the files' locks say 5Gi",
        ),
        ({"gpu": 0, "weights": "17Gi"}, "need 17Gi of memory, and memory is 16Gi"),
        ({"weights": "9Gi", "store": {"emptyDir": {"sizeLimit": "8Gi"}}}, "room for 8Gi"),
    ],
)
def test_a_wrong_description_of_files_is_refused(fields: dict[str, Any], reason: str) -> None:
    """Before there is a pod."""
    with pytest.raises(OptionError, match=reason):
        vllm(**fields)


def test_secrets_of_the_step_are_references() -> None:
    """They reach the step, and nobody else."""
    secrets = {"HF_TOKEN": SecretKey("hub", "token")}
    result = attach(pod(), vllm(files=FILES, fetch_secrets=secrets, store=CLAIM))
    found = variables(container(result, "model-server-prepare"))
    assert found["HF_TOKEN"] == {"secretKeyRef": {"name": "hub", "key": "token"}}
    assert "HF_TOKEN" not in variables(container(result, "model-server"))


def test_inputs_are_told_to_vllm_by_a_file() -> None:
    """Its flags have the rest; no template stands where a cluster would fill it in."""
    engine = VLLM(
        arguments={"max_model_len": "{{.inputs.length}}", "seed": 7},
        loras={"mine": "{{ .inputs.adapter }}"},
    )
    result = attach(pod(), vllm(engine=engine, inputs="{{.input}}"))
    step, server = (container(result, f"model-server{end}") for end in ("-prepare", ""))
    assert step["args"][-2:] == ["--inputs", "{{.input}}"]
    assert server["args"][:2] == ["--config", "/task-inputs/vllm.yaml"]
    assert "mine=/task-inputs/adapter" in server["args"]
    assert "{{" not in json.dumps([server, variables(step)])
    with pytest.raises(OptionError, match="has no `inputs`"):
        attach(pod(), vllm(engine=engine))


def test_inputs_are_paths_to_servers_that_read_no_file_of_ours() -> None:
    """Other images only where they can."""
    result = attach(
        pod(), nim(engine=NIM(peft_source="{{.inputs.loras}}"), inputs="s3://bucket/inputs.pb")
    )
    assert variables(container(result, "model-server"))["NIM_PEFT_SOURCE"] == "/task-inputs/loras"


def task_inputs(folder: Path) -> str:
    (folder / "style.gguf").write_bytes(b"adapter")
    values = {"length": literal(512), "tone": literal("terse {x}"), "flag": literal(value=True)}
    values["style"] = {"scalar": {"blob": {"uri": str(folder / "style.gguf")}}}
    (folder / "inputs.pb").write_bytes(encode("LiteralMap", {"literals": values}))
    return str(folder / "inputs.pb")


def test_the_step_writes_the_configuration_of_the_inputs(tmp_path: Path) -> None:
    """Numbers stay numbers, files are where they were put; braces and quotes are left alone."""
    arguments = {
        "max_model_len": "{{.inputs.length}}",
        "chat_template": "{{ .inputs.style }}",
        "served": 'say "{{.inputs.tone}}" {{ .Prompt }}, {{.inputs.flag}}',
    }
    result = attach(pod(), vllm(engine=VLLM(arguments=arguments), inputs="x"))
    planned = work(result)
    planned["configuration"]["path"] = str(tmp_path / "vllm.yaml")
    folder = str(tmp_path / "inputs")
    prepare({WORK: json.dumps(planned)}, task_inputs(tmp_path), 60, lambda _: None, folder)
    assert json.loads((tmp_path / "vllm.yaml").read_text()) == {
        "max-model-len": 512,
        "chat-template": f"{folder}/style",
        "served": 'say "terse {x}" {{ .Prompt }}, true',
    }
    assert (tmp_path / "inputs/style").read_bytes() == b"adapter"


def test_inputs_that_do_not_come_end_the_step(tmp_path: Path) -> None:
    """In its time, with an error of its own."""
    with serving(Script(lies=["hang"])) as script:
        uri = f"{script.url}/inputs.json"
        with pytest.raises(FilesError, match="inputs did not come in their time"):
            prepare({WORK: "{}"}, uri, 0, lambda _: None, str(tmp_path / "inputs"))


def test_ollama_makes_a_model_of_the_inputs(tmp_path: Path) -> None:
    """By its API; Go's templates keep their braces."""
    engine = Ollama(
        create={
            "from": "base",
            "system": "Be {{.inputs.tone}}.",
            "template": "{{ .System }} {{ .Prompt }}",
            "parameters": {"num_ctx": "{{.inputs.length}}"},
        }
    )
    result = attach(pod(), ollama(engine=engine, inputs="{{.input}}"))
    step = container(result, "model-server-fetch")
    create = json.loads(variables(step)["OLLAMA_CREATE"].replace("$$", "$"))
    folder = str(tmp_path / "inputs")
    prepare({WORK: "{}"}, task_inputs(tmp_path), 60, lambda _: None, folder)
    with serving(Script(model="other")) as script:
        connection = Connection("model-server", script.url, "mine", "ollama")
        fetch(connection, create, 30, lambda _: None, folder)
        (asked,) = script.asked("/api/create")
    assert asked["system"] == "Be terse {x}."
    assert asked["template"] == "{{ .System }} {{ .Prompt }}"
    assert asked["parameters"] == {"num_ctx": 512}
    wrong = {"from": "base", "system": {"$parts": [{"$input": "none"}]}}
    with pytest.raises(OptionError, match=r"no input 'none'; there are: flag, length"):
        fetch(connection, wrong, 30, lambda _: None, folder)


def test_files_and_adapters_of_a_pod_arrive(tmp_path: Path) -> None:
    """What attach plans is what the step does."""
    adapters = {"french": ModelFiles(source="hf://org/model", include=("adapter_*",))}
    result = attach(pod(), vllm(files=FILES, adapters=adapters))
    planned = work(result)
    for item in planned["downloads"]:
        item["into"] = f"{tmp_path}{item['into']}"
    files = {"config.json": b"{}", "adapter_config.json": b"{}"}
    with serving_hub(Hub(files)) as hub:
        prepare({WORK: json.dumps(planned), "HF_ENDPOINT": hub.url}, None, 60, lambda _: None)
    found = sorted(path.name for path in tmp_path.rglob("*.json") if path.name[0] != ".")
    assert found == ["adapter_config.json", "adapter_config.json", "config.json"]


@pytest.mark.parametrize("lock", [{}, {"lock_version": 1, "files": [{"path": "a"}]}])
def test_what_is_no_lock_is_refused_as_that(lock: Any) -> None:
    """In words, when the sidecar is made."""
    files = ModelFiles(source="hf://org/model", lock=lock)
    with pytest.raises(OptionError, match="lock"):
        Sidecar(engine=VLLM(), model="org/model", files=files)
