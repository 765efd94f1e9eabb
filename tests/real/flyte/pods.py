# SPDX-License-Identifier: Apache-2.0
"""Run with the Python of a flytekit: prints the pod that it registers for a task with a sidecar."""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from importlib import import_module
from typing import Any

from google.protobuf.json_format import MessageToDict
from kubernetes.client import V1Container, V1PodSpec

from sidecars import VLLM, Sidecar, attach_to_template

flytekit: Any = import_module("flytekit")
configuration: Any = import_module("flytekit.configuration")
translator: Any = import_module("flytekit.tools.translator")
template = flytekit.PodTemplate(
    pod_spec=V1PodSpec(containers=[V1Container(name="primary")]), labels={"team": "a"}
)
sidecar = Sidecar(
    engine=VLLM(arguments={"max_model_len": "{{.inputs.length}}"}),
    model="org/model",
    weights="1Gi",
    inputs="{{.input}}",
    gate_image="registry.example/team/task:1",
)


@flytekit.task(  # type: ignore[untyped-decorator]
    pod_template=attach_to_template(template, sidecar),
    container_image="registry.example/team/task:1",
)
def double(length: int) -> int:
    return 2 * length


def main() -> None:
    image = configuration.Image("default", "registry.example/team/task", "1")
    settings = configuration.SerializationSettings(
        image_config=configuration.ImageConfig(image), project="p", domain="d", version="v"
    )
    spec = translator.get_serializable(OrderedDict(), settings, double)
    found = MessageToDict(spec.template.to_flyte_idl())
    sys.stdout.write(json.dumps(found["k8sPod"] | {"config": found["config"]}))


if __name__ == "__main__":
    main()
