# SPDX-License-Identifier: Apache-2.0
"""Run beside one version of the kubernetes client: models in, models out. Prints what it saw."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from kubernetes import client

from sidecars import VLLM, Sidecar, attach
from sidecars.kube import attach_to_model, attach_to_template, from_model, to_model


@dataclass
class FakePodTemplate:
    """A fake of Flyte's PodTemplate: the fields that attach_to_template looks at."""

    pod_spec: Any
    primary_container_name: str = "primary"


def main(pods: list[dict[str, Any]]) -> None:
    like = client.V1Pod()
    for pod in pods:
        model = to_model(pod, like=like)
        assert isinstance(model, client.V1Pod)
        assert from_model(model) == pod

    given = {"spec": {"containers": [{"name": "main", "image": "registry.example/x:1"}]}}
    sidecar = Sidecar(engine=VLLM(), model="org/model", weights="1Gi")
    model = to_model(given, like=like)
    attached = attach_to_model(model, sidecar)
    assert from_model(model) == given
    assert from_model(attached) == attach(given, sidecar)
    assert attached.spec.init_containers[0].restart_policy == "Always"

    spec = attach_to_model(model.spec, sidecar)
    assert isinstance(spec, client.V1PodSpec)
    assert from_model(spec) == attach(given, sidecar)

    template = FakePodTemplate(client.V1PodSpec(containers=[]))
    image = "registry.example/x:1"
    gated = Sidecar(engine=VLLM(), model="org/model", weights="1Gi", gate_image=image)
    result = attach_to_template(template, gated)
    assert result.pod_spec.containers[0].name == "primary"
    assert result.pod_spec.containers[0].env[0].name == "SIDECAR_MODEL_SERVER_URL"
    assert template.pod_spec.containers == []
    sys.stdout.write(type(like).__mro__[1].__name__)


if __name__ == "__main__":
    main(json.load(sys.stdin))
