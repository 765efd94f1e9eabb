# SPDX-License-Identifier: Apache-2.0
"""A sidecar as Kubernetes data: its server, the steps that hold the task back, volumes, variables.

The server is a native sidecar (KEP-753). A gate after it, not a startup probe, holds the task back:
a probe leaves a pod with a dead server pending for ever, a gate fails it and says why. There is no
preStop: the kubelet runs a sidecar's when the pod is deleted, while the task still uses it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .engines.variables import literal
from .errors import OptionError, PodError
from .pod import plain
from .quantity import format_bytes
from .references import FOLDER as INPUTS
from .sidecar import Server, Sidecar
from .sizes import resources_of, shm_of, store_bytes
from .steps import INJECTED, INJECTED_MOUNT, steps_of

_PROBE_SECONDS = 10
_STOP_FOLDER = "/run/sidecars"
_UNTIL_STOPPED = """\
"$@" &
server=$!
trap 'kill -TERM $server' TERM INT
while kill -0 $server 2>/dev/null; do
  if [ -e "$SIDECAR_STOP" ]; then kill -TERM $server; wait $server; exit 0; fi
  sleep 1 & wait $!
done
wait $server
"""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a pod gets."""

    server: dict[str, Any]
    before: tuple[dict[str, Any], ...]
    """The steps that the server waits for."""
    steps: tuple[dict[str, Any], ...]
    """Those behind it, which hold the task back."""
    volumes: tuple[dict[str, Any], ...]
    environment: tuple[dict[str, Any], ...]
    """Of the task: by it `connect` finds the server."""
    mounts: tuple[dict[str, Any], ...]
    """Of the task."""
    pull_secrets: tuple[dict[str, Any], ...]
    drain_seconds: int
    """Of the server, once it is told to stop."""
    group: int | None
    """The group that has to own the store, where it outlives the pod."""


def render(sidecar: Sidecar, primary: Mapping[str, Any], *, has_disk_limit: bool = False) -> Parts:
    """The parts of a sidecar; the steps run as the primary container does, from its image.

    `has_disk_limit`: the pod has a limit on ephemeral storage already (see `sizes`).
    """
    served = sidecar.engine.serve(sidecar)
    if sidecar.fetched and served.store_path is None:
        raise OptionError(["files need store_path: where the server looks for them"])
    environment = (
        {"name": sidecar.variable("URL"), "value": f"http://127.0.0.1:{sidecar.server_port}"},
        {"name": sidecar.variable("MODEL"), "value": literal(sidecar.client_name)},
        {"name": sidecar.variable("KIND"), "value": sidecar.engine.kind},
        *([sidecar.api_key.variable(sidecar.variable("API_KEY"))] if sidecar.api_key else []),
    )
    resources = resources_of(sidecar, served, has_disk_limit=has_disk_limit)
    volumes = _volumes(sidecar, served)
    mounts = {mount["mountPath"]: mount for _, mount in volumes}
    steps = steps_of(sidecar, served, environment, primary, mounts)
    own, shared = _of_the_task(sidecar)
    return Parts(
        server=plain(_server(sidecar, served, list(mounts.values()), resources)),
        before=tuple(map(plain, steps.before)),
        steps=tuple(map(plain, steps.behind)),
        volumes=tuple(plain([*(volume for volume, _ in volumes), *shared])),
        environment=(*environment, *own),
        mounts=tuple(_task_mounts(sidecar)),
        pull_secrets=tuple({"name": name} for name in sidecar.pull_secrets),
        drain_seconds=served.drain_seconds,
        group=served.group if sidecar.store else None,
    )


def _of_the_task(sidecar: Sidecar) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Its variables and volumes beyond those of every sidecar."""
    variables: list[dict[str, Any]] = []
    volumes: list[dict[str, Any]] = []
    if sidecar.gate == "inject":
        variables.append({"name": "SIDECARS_RUNTIME", "value": INJECTED})
        volumes.append({"name": INJECTED_MOUNT["name"], "emptyDir": {}})
    if not sidecar.native:
        deadline = str(sidecar.budget_seconds)
        variables.append({"name": sidecar.variable("DEADLINE"), "value": deadline})
        variables.append({"name": sidecar.variable("STOP"), "value": _stop_file(sidecar)})
    return variables, volumes


def _task_mounts(sidecar: Sidecar) -> Iterator[dict[str, Any]]:
    if sidecar.gate == "inject":
        yield {**INJECTED_MOUNT, "readOnly": True}
    if not sidecar.native:
        yield {"name": f"{sidecar.name}-stop", "mountPath": f"{_STOP_FOLDER}/{sidecar.name}"}


def _stop_file(sidecar: Sidecar) -> str:
    return f"{_STOP_FOLDER}/{sidecar.name}/stop"


def _server(
    sidecar: Sidecar, served: Server, mounts: list[dict[str, Any]], resources: dict[str, Any]
) -> dict[str, Any]:
    container: dict[str, Any] = {"name": sidecar.name, "image": sidecar.pinned_image}
    if served.command:
        container["command"] = list(served.command)
    if served.args:
        container["args"] = list(served.args)
    if sidecar.native:
        container["restartPolicy"] = "Always"
    else:
        container |= _in_a_shell(sidecar, served)
    return {
        **container,
        "ports": [{"containerPort": port} for port in _ports(sidecar, served)],
        "env": _server_environment(sidecar, served),
        "resources": resources,
        "securityContext": _security(sidecar, served),
        **({"volumeMounts": mounts} if mounts else {}),
        **_probes(sidecar, served),
    }


def _ports(sidecar: Sidecar, served: Server) -> list[int]:
    return [sidecar.server_port, *([served.health_port] if served.health_port else [])]


def _in_a_shell(sidecar: Sidecar, served: Server) -> dict[str, Any]:
    """An ordinary container has nobody to stop it, and has to end well when it is stopped."""
    words = [*served.command, *served.args] if served.command else list(served.stops_by)
    if not words:
        raise OptionError(
            [f"native=False: what the image of {sidecar.engine.kind} starts is not known"],
            hint="the engine has to have a command of its own",
        )
    return {"command": ["/bin/sh", "-c", literal(_UNTIL_STOPPED), "sidecar"], "args": words}


def _server_environment(sidecar: Sidecar, served: Server) -> list[dict[str, Any]]:
    """Secrets first, so that a value of `env` may name one as $(VAR)."""
    own = {variable["name"] for variable in served.environment}
    if taken := sorted(own & {*sidecar.env, *sidecar.secrets}):
        raise PodError([f"{name} is set by the sidecar's own fields" for name in taken])
    return [
        *(secret.variable(name) for name, secret in sidecar.secrets.items()),
        *served.environment,
        *({"name": name, "value": value} for name, value in sidecar.env.items()),
        *([] if sidecar.native else [{"name": "SIDECAR_STOP", "value": _stop_file(sidecar)}]),
    ]


def _volumes(sidecar: Sidecar, served: Server) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each volume with its mount in the server."""
    found = []
    if shm := shm_of(sidecar, served):
        source = {"emptyDir": {"medium": "Memory", "sizeLimit": shm}}
        found.append(_volume(f"{sidecar.name}-shm", source, "/dev/shm"))  # noqa: S108
    if served.store_path:
        size = store_bytes(sidecar, served)
        own = {"emptyDir": {"sizeLimit": format_bytes(size)} if size else {}}
        found.append(_volume(f"{sidecar.name}-store", sidecar.store or own, served.store_path))
    for number, (path, given) in enumerate(sidecar.volumes.items()):
        volume, mount = _volume(f"{sidecar.name}-{number}", given, path)
        found.append((volume, {**mount, "readOnly": True}))
    if sidecar.inputs:
        volume, mount = _volume(f"{sidecar.name}-inputs", {"emptyDir": {}}, INPUTS)
        found.append((volume, {**mount, "readOnly": True}))
    if not sidecar.native:
        place = f"{_STOP_FOLDER}/{sidecar.name}"
        volume, mount = _volume(f"{sidecar.name}-stop", {"emptyDir": {}}, place)
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
    port = served.health_port or sidecar.server_port
    ready = {"httpGet": {"path": served.health_path, "port": port}}
    live = {"httpGet": {"path": served.live_path, "port": port}}
    timing = {"periodSeconds": _PROBE_SECONDS, "timeoutSeconds": 5}
    probes: dict[str, Any] = {
        "readinessProbe": {**ready, **timing, "failureThreshold": 3},
        "livenessProbe": {**live, **timing, "failureThreshold": 6},
    }
    if sidecar.gate != "probe":
        probes["livenessProbe"]["initialDelaySeconds"] = sidecar.budget_seconds
        return probes
    command = served.startup_command
    started = {"exec": {"command": list(command)}} if command else ready
    failures = math.ceil(sidecar.budget_seconds / _PROBE_SECONDS)
    return {"startupProbe": {**started, **timing, "failureThreshold": failures}, **probes}
