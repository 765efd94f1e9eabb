# SPDX-License-Identifier: Apache-2.0
"""The steps around a server: what comes before it, what it fetches, and the gate before the task.

All are init containers that run this package, from an image of ours or injected into the task's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .engines.variables import literal, variables
from .errors import PodError
from .references import FOLDER as INPUTS
from .sidecar import Server, Sidecar
from .sizes import store_bytes

RUNTIME = ("/opt/venv/bin/python", "-I", "-m", "sidecars")
"""How a step calls this package in an image of ours."""
INJECTED = "/opt/imagekit/sidecars.pyz"
"""Where a task's image that is not ours gets it."""
INJECTED_RUNTIME = ("python3", "-I", INJECTED)
WORK = "SIDECAR_WORK"
"""The variable of the first step: what is to be brought before the server starts, as JSON."""
HOLDING = ("pull", "wait")
"""The verbs of the steps behind the server: servers that come later go before them."""
_RESOURCES = {"cpu": "500m", "memory": "128Mi"}  # none of the disk: see sizes
_PREPARE_RESOURCES = {"cpu": "2", "memory": "1Gi"}
_USER_KEYS = ("runAsUser", "runAsGroup", "runAsNonRoot")


@dataclass(frozen=True, slots=True)
class Steps:
    before: tuple[dict[str, Any], ...]
    behind: tuple[dict[str, Any], ...]


def is_holding(container: Mapping[str, Any]) -> bool:
    """Whether it is a step of ours behind a server, of whichever sidecar."""
    args = container.get("args") or [""]
    runs_us = container.get("command") in (list(RUNTIME), list(INJECTED_RUNTIME))
    return runs_us and args[0] in HOLDING


def steps_of(
    sidecar: Sidecar,
    served: Server,
    environment: tuple[dict[str, Any], ...],
    primary: Mapping[str, Any],
    mounts: Mapping[str, dict[str, Any]],
) -> Steps:
    """`mounts` are those of the server, by path."""
    before, behind = [], []
    if sidecar.gate == "inject":
        before.append(_injecting(sidecar))
    if sidecar.fetched or sidecar.inputs:
        before.append(_preparing(sidecar, served, primary, mounts))
    if sidecar.gate != "probe" and sidecar.native:
        if served.fetches:
            behind.append(_fetching(sidecar, served, environment, primary, mounts))
        behind.append(_step(sidecar, primary, "gate", "wait") | {"env": list(environment)})
    return Steps(tuple(before), tuple(behind))


INJECTED_MOUNT = {"name": "imagekit-runtime", "mountPath": INJECTED.rpartition("/")[0]}
"""One for all sidecars of a pod."""


def _injecting(sidecar: Sidecar) -> dict[str, Any]:
    return {
        "name": "imagekit-inject",
        "image": sidecar.gate_image,
        "command": list(RUNTIME),
        "args": ["inject", INJECTED],
        "resources": _both(_RESOURCES),
        "securityContext": _security({}),
        "volumeMounts": [dict(INJECTED_MOUNT)],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _preparing(
    sidecar: Sidecar,
    served: Server,
    primary: Mapping[str, Any],
    mounts: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """It runs as the server's user, who owns what it brings."""
    step = _step(sidecar, primary, "prepare", "prepare")
    work: dict[str, Any] = {}
    if sidecar.fetched:
        size = store_bytes(sidecar, served)
        room = {"room_bytes": size} if size else {}
        work["downloads"] = [
            {**files.described(), "into": f"{served.store_path}/{folder}", **room}
            for folder, files in sidecar.fetched.items()
        ]
    if served.configuration is not None:
        work["configuration"] = served.configuration
    secrets = [secret.variable(name) for name, secret in sidecar.fetch_secrets.items()]
    given = {WORK: json.dumps(work, sort_keys=True), **sidecar.fetch_env}
    step["env"] = [*secrets, *variables(given)]
    if sidecar.inputs:
        step["args"] += ["--inputs", literal(sidecar.inputs)]
    user = served.user if sidecar.user is None else sidecar.user
    context = {"runAsUser": user or 0, "runAsNonRoot": bool(user)}
    if served.group is not None and sidecar.user is None:
        context["runAsGroup"] = served.group
    step["securityContext"] = _security(context)
    step["resources"] = _both(_PREPARE_RESOURCES)
    wanted = [served.store_path] if sidecar.fetched else []
    wanted += [INPUTS] if sidecar.inputs else []
    step["volumeMounts"] = step.get("volumeMounts", []) + [
        {key: value for key, value in mounts[path].items() if key != "readOnly"}
        for path in wanted
        if path is not None
    ]
    return step


def _fetching(
    sidecar: Sidecar,
    served: Server,
    environment: tuple[dict[str, Any], ...],
    primary: Mapping[str, Any],
    mounts: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """It reads files of the server's volumes, where the model is made of files."""
    step = _step(sidecar, primary, "fetch", "pull")
    step["env"] = [*environment, *served.fetch_environment]
    paths = [*sidecar.volumes, *([INPUTS] if sidecar.inputs else [])]
    if sidecar.fetched and served.store_path:
        paths.append(served.store_path)
    read = [{**mounts[path], "readOnly": True} for path in paths]
    if read and served.fetch_environment:
        step["volumeMounts"] = [*step.get("volumeMounts", []), *read]
    return step


def _step(
    sidecar: Sidecar,
    primary: Mapping[str, Any],
    name: str,
    verb: str,
) -> dict[str, Any]:
    """What each step has in common; its last words become the pod's message if it fails."""
    injected = sidecar.gate == "inject"
    foreign = sidecar.gate_image if not injected else None
    image = foreign or primary.get("image")
    if not image:
        raise PodError(
            [f"container {primary.get('name')!r} has no image for the gate to run from"],
            hint="gate_image names one that holds our runtime, gate='probe' does without",
        )
    given = primary.get("securityContext") or {}
    user = {key: given[key] for key in _USER_KEYS if key in given and not foreign}
    step: dict[str, Any] = {
        "name": f"{sidecar.name}-{name}",
        "image": image,
        "command": list(INJECTED_RUNTIME if injected else RUNTIME),
        "args": [verb, "--name", sidecar.name, "--deadline", str(sidecar.budget_seconds)],
        "env": [],
        "resources": _both(_RESOURCES),
        "securityContext": _security(user),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if injected:
        step["volumeMounts"] = [{**INJECTED_MOUNT, "readOnly": True}]
    if "imagePullPolicy" in primary and not foreign:
        step["imagePullPolicy"] = primary["imagePullPolicy"]
    return step


def _both(amounts: Mapping[str, str]) -> dict[str, Any]:
    return {"requests": dict(amounts), "limits": dict(amounts)}


def _security(user: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **user,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
