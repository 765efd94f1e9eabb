# SPDX-License-Identifier: Apache-2.0
"""`attach` for pods that are models of the `kubernetes` client, and for Flyte's pod templates.

The client itself is the one that made the model: it is found among the loaded modules, so nothing
is imported here. Its models are plain objects before version 37 and pydantic's after.
"""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import dataclass
from typing import Any

from .attaching import attach
from .errors import PodError
from .pod import Pod, listed, spec_of
from .sidecar import Sidecar


def attach_to_model(
    model: Any, sidecar: Sidecar, primary: str | None = None, *, gpus_add_up: bool = False
) -> Any:
    """As `attach`, from V1Pod, V1PodTemplateSpec or V1PodSpec to another of the same kind."""
    pod = from_model(model)
    return to_model(attach(pod, sidecar, primary, gpus_add_up=gpus_add_up), like=model)


def attach_to_template(template: Any, sidecar: Sidecar, *, gpus_add_up: bool = False) -> Any:
    """As `attach`, for the `pod_template` of a Flyte task; returns a copy.

    Flyte fills the primary container in by its name, and adds it where the template has none; its
    image comes then too, so the sidecar needs `gate_image` or `gate="probe"`.
    """
    primary = template.primary_container_name
    pod = from_model(template.pod_spec)
    spec = spec_of(pod)
    containers = listed(spec, "containers")
    if primary not in [container.get("name") for container in containers]:
        spec["containers"] = [*containers, {"name": primary}]
    attached = attach(pod, sidecar, primary, gpus_add_up=gpus_add_up)
    result = copy.copy(template)
    result.pod_spec = to_model(attached, like=template.pod_spec)
    return result


def from_model(model: Any) -> Pod:
    """The pod as plain data; a V1PodSpec becomes the `spec` of one."""
    data = _client(model).ApiClient().sanitize_for_serialization(model)
    return {"spec": data} if _is_spec(model) else dict(data)


def to_model(pod: Pod, *, like: Any) -> Any:
    """The pod as a model of the same class, and of the same client, as `like`."""
    data = pod["spec"] if _is_spec(like) else pod
    kind = type(like)
    if hasattr(kind, "from_dict"):
        return kind.from_dict(data)
    return _client(like).ApiClient().deserialize(_Response(json.dumps(data)), kind.__name__)


@dataclass(frozen=True, slots=True)
class _Response:
    """What the older client reads models from."""

    data: str


def _is_spec(model: Any) -> bool:
    return type(model).__name__ == "V1PodSpec"


def _client(model: Any) -> Any:
    """The package that has the model and its ApiClient."""
    package = type(model).__module__.partition(".models")[0]
    client = sys.modules.get(package)
    if not hasattr(client, "ApiClient"):
        raise PodError([f"{type(model).__name__} is no model of the kubernetes client"])
    return client
