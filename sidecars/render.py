# SPDX-License-Identifier: Apache-2.0
"""A sidecar as Kubernetes data: its server, the steps that hold the task back, volumes, variables.

The server is a native sidecar (KEP-753). A gate after it, not a startup probe, holds the task back:
a probe leaves a pod with a dead server pending for ever, a gate fails it and says why. There is no
preStop: the kubelet runs a sidecar's when the pod is deleted, while the task still uses it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import PodError
from .pod import plain
from .quantity import format_bytes, parse_quantity
from .sidecar import Server, Sidecar

RUNTIME = ("/opt/venv/bin/python", "-I", "-m", "sidecars")
"""How a step calls this package in an image of ours."""
STEPS = ("fetch", "gate")
_PROBE_SECONDS = 10
_SCRATCH_BYTES = 2 * 1024**3  # logs, compiled kernels, temporary files
_PARTIAL = (6, 5)  # downloads hold a part of the weights twice
_STEP_RESOURCES = {"cpu": "500m", "memory": "128Mi", "ephemeral-storage": "64Mi"}
_USER_KEYS = ("runAsUser", "runAsGroup", "runAsNonRoot")


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a pod gets."""

    server: dict[str, Any]
    steps: tuple[dict[str, Any], ...]
    volumes: tuple[dict[str, Any], ...]
    environment: tuple[dict[str, Any], ...]
    """Of the task: by it `connect` finds the server."""
    pull_secrets: tuple[dict[str, Any], ...]
    group: int | None
    """The group that has to own the store, where it outlives the pod."""


def render(sidecar: Sidecar, primary: Mapping[str, Any]) -> Parts:
    """The parts of a sidecar; the steps run as the primary container does, from its image."""
    served = sidecar.engine.serve(sidecar)
    environment = (
        {"name": sidecar.variable("URL"), "value": f"http://127.0.0.1:{sidecar.server_port}"},
        {"name": sidecar.variable("MODEL"), "value": sidecar.client_name.replace("$", "$$")},
        {"name": sidecar.variable("KIND"), "value": sidecar.engine.kind},
        *([sidecar.api_key.variable(sidecar.variable("API_KEY"))] if sidecar.api_key else []),
    )
    return Parts(
        server=plain(_server(sidecar, served)),
        steps=tuple(map(plain, _steps(sidecar, served, environment, primary))),
        volumes=tuple(plain(volume) for volume, _ in _volumes(sidecar, served)),
        environment=environment,
        pull_secrets=tuple({"name": name} for name in sidecar.pull_secrets),
        group=served.group if sidecar.store else None,
    )


def _server(sidecar: Sidecar, served: Server) -> dict[str, Any]:
    mounts = [mount for _, mount in _volumes(sidecar, served)]
    resources = _resources(sidecar, served)
    container: dict[str, Any] = {"name": sidecar.name, "image": sidecar.pinned_image}
    if served.command:
        container["command"] = list(served.command)
    if served.args:
        container["args"] = list(served.args)
    return {
        **container,
        "restartPolicy": "Always",
        "ports": [{"containerPort": sidecar.server_port}],
        "env": _server_environment(sidecar, served),
        "resources": {"requests": resources, "limits": dict(resources)},
        "securityContext": _security(sidecar, served),
        **({"volumeMounts": mounts} if mounts else {}),
        **_probes(sidecar, served),
    }


def _server_environment(sidecar: Sidecar, served: Server) -> list[dict[str, Any]]:
    """Secrets first, so that a value of `env` may name one as $(VAR)."""
    own = {variable["name"] for variable in served.environment}
    if taken := sorted(own & {*sidecar.env, *sidecar.secrets}):
        raise PodError([f"{name} is set by the sidecar's own fields" for name in taken])
    return [
        *(secret.variable(name) for name, secret in sidecar.secrets.items()),
        *served.environment,
        *({"name": name, "value": value} for name, value in sidecar.env.items()),
    ]


def _resources(sidecar: Sidecar, served: Server) -> dict[str, str]:
    """Requests and limits alike. Pages of /dev/shm are memory of the server's."""
    memory = parse_quantity(sidecar.memory)
    if shm := _shm(sidecar, served):
        memory += parse_quantity(shm)
    resources = {"cpu": sidecar.cpu, "memory": format_bytes(memory)}
    if sidecar.gpu:
        resources[sidecar.gpu_resource] = str(sidecar.gpu)
    if sidecar.weights is not None or served.store_path is None or sidecar.store:
        space = _SCRATCH_BYTES + _store_bytes(sidecar, served)
        resources["ephemeral-storage"] = format_bytes(space)
    return resources


def _shm(sidecar: Sidecar, served: Server) -> str | None:
    return sidecar.shm or served.shm


def _store_bytes(sidecar: Sidecar, served: Server) -> int:
    """What weights take of the node's own disk: nothing where they have a volume of their own."""
    if served.store_path is None or sidecar.store or sidecar.weights is None:
        return 0
    more, than = _PARTIAL
    return math.ceil(parse_quantity(sidecar.weights) * more / than)


def _volumes(sidecar: Sidecar, served: Server) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each volume with its mount in the server."""
    found = []
    if shm := _shm(sidecar, served):
        source = {"emptyDir": {"medium": "Memory", "sizeLimit": shm}}
        found.append(_volume(f"{sidecar.name}-shm", source, "/dev/shm"))  # noqa: S108
    if served.store_path:
        size = _store_bytes(sidecar, served)
        own = {"emptyDir": {"sizeLimit": format_bytes(size)} if size else {}}
        found.append(_volume(f"{sidecar.name}-store", sidecar.store or own, served.store_path))
    for number, (path, given) in enumerate(sidecar.volumes.items()):
        volume, mount = _volume(f"{sidecar.name}-{number}", given, path)
        found.append((volume, {**mount, "readOnly": True}))
    return found


def _volume(
    name: str, source: Mapping[str, Any], path: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    mount: dict[str, Any] = {"name": name, "mountPath": path}
    if "image" in source:
        mount["readOnly"] = True
    return {"name": name, **source}, mount


def _security(sidecar: Sidecar, served: Server) -> dict[str, Any]:
    """Capabilities stay where the image's user is root, who needs them to write to a claim."""
    context: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    user = served.user if sidecar.user is None else sidecar.user
    if user is not None:
        context |= {"runAsUser": user, "runAsNonRoot": user != 0}
        if served.group is not None and sidecar.user is None:
            context["runAsGroup"] = served.group
    if user:
        context["capabilities"] = {"drop": ["ALL"]}
    return context


def _probes(sidecar: Sidecar, served: Server) -> dict[str, Any]:
    """Liveness begins when the time to start is over, so that loading is never cut short."""
    port = sidecar.server_port
    ready = {"httpGet": {"path": served.health_path, "port": port}}
    live = {"httpGet": {"path": served.live_path, "port": port}}
    timing = {"periodSeconds": _PROBE_SECONDS, "timeoutSeconds": 5}
    probes: dict[str, Any] = {
        "readinessProbe": {**ready, **timing, "failureThreshold": 3},
        "livenessProbe": {**live, **timing, "failureThreshold": 6},
    }
    if sidecar.gate == "runtime":
        probes["livenessProbe"]["initialDelaySeconds"] = sidecar.budget_seconds
        return probes
    command = served.startup_command
    started = {"exec": {"command": list(command)}} if command else ready
    failures = math.ceil(sidecar.budget_seconds / _PROBE_SECONDS)
    return {"startupProbe": {**started, **timing, "failureThreshold": failures}, **probes}


def _steps(
    sidecar: Sidecar,
    served: Server,
    environment: tuple[dict[str, Any], ...],
    primary: Mapping[str, Any],
) -> tuple[dict[str, Any], ...]:
    if sidecar.gate == "probe":
        return ()
    image = sidecar.gate_image or primary.get("image")
    if not image:
        raise PodError(
            [f"container {primary.get('name')!r} has no image for the gate to run from"],
            hint="gate_image names one that holds our runtime, gate='probe' does without",
        )
    common = _step(sidecar, image, primary)
    fetch, gate = (f"{sidecar.name}-{step}" for step in STEPS)
    steps = []
    if served.fetches:
        own = [*environment, *served.fetch_environment]
        steps.append({**common, "name": fetch, "args": _words("pull", sidecar), "env": own})
    steps.append(
        {**common, "name": gate, "args": _words("wait", sidecar), "env": list(environment)}
    )
    return tuple(steps)


def _words(verb: str, sidecar: Sidecar) -> list[str]:
    return [verb, "--name", sidecar.name, "--deadline", str(sidecar.budget_seconds)]


def _step(sidecar: Sidecar, image: str, primary: Mapping[str, Any]) -> dict[str, Any]:
    """What each step has in common; its last words become the pod's message if it fails."""
    given = primary.get("securityContext") or {}
    user = {key: given[key] for key in _USER_KEYS if key in given and not sidecar.gate_image}
    step: dict[str, Any] = {
        "name": "",
        "image": image,
        "command": list(RUNTIME),
        "args": [],
        "env": [],
        "resources": {"requests": dict(_STEP_RESOURCES), "limits": dict(_STEP_RESOURCES)},
        "securityContext": {
            **user,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if "imagePullPolicy" in primary and not sidecar.gate_image:
        step["imagePullPolicy"] = primary["imagePullPolicy"]
    return step
