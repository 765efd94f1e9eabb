# SPDX-License-Identifier: Apache-2.0
"""`attach(pod, sidecar)`: the same pod with a model server in it. Pure: dicts in, dicts out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .check import problems_of
from .errors import PodError
from .pod import (
    Pod,
    add_mounts,
    add_named,
    listed,
    mapped,
    plain,
    primary_of,
    spec_of,
)
from .quantity import parse_quantity
from .render import Parts, render
from .sidecar import Sidecar
from .sizes import has_disk_limit
from .steps import is_holding

STOP_SECONDS = 30
"""What a server may take to stop, after the task has stopped."""
_END_SECONDS = 10  # of these for its end, after it has drained
_TASK_SECONDS = 30  # Kubernetes' own default for all of a pod


def attach(
    pod: Mapping[str, Any],
    sidecar: Sidecar,
    primary: str | None = None,
    *,
    gpus_add_up: bool = False,
) -> Pod:
    """A pod whose `primary` container runs beside the sidecar, and starts when its model answers.

    `primary` is the container of the task: by default `primary`, or the only one. Nothing of the
    pod is lost or changed but what has to be: lists grow, and a name or port that is taken is an
    error. Attaching the same sidecar again changes nothing. GPUs of task and server add up, so both
    may have them only if `gpus_add_up`.

    Raises PodError with everything that is in the way, or OptionError.
    """
    result: Pod = plain(pod)
    if problems := problems_of(result, template=True):
        raise PodError(problems)
    spec = spec_of(result)
    task = primary_of(spec, primary)
    parts = render(sidecar, task, has_disk_limit=has_disk_limit(spec, sidecar.name))
    if not gpus_add_up:
        _refuse_more_gpus(spec, sidecar)
    _add(spec, task, parts)
    _end_with_the_task(spec, sidecar, parts)
    if parts.group is not None:
        _own_the_store(spec, parts.group)
    if problems := problems_of(result, template=True):
        raise PodError(problems)
    return result


def _add(spec: dict[str, Any], task: dict[str, Any], parts: Parts) -> None:
    """Servers stand after the pod's own init containers and before all gates: they load at once.

    The task's new variables come first, so that its own may name them as $(VAR).
    """
    holding = [each.get("name") for each in listed(spec, "initContainers") if is_holding(each)]
    is_native = parts.server.get("restartPolicy") == "Always"
    servers = [*parts.before, *([parts.server] if is_native else [])]
    add_named(spec, "initContainers", servers, "the pod", before=holding)
    add_named(spec, "initContainers", parts.steps, "the pod")
    if not is_native:
        add_named(spec, "containers", [parts.server], "the pod")
    add_named(spec, "volumes", parts.volumes, "the pod")
    add_named(spec, "imagePullSecrets", parts.pull_secrets, "the pod")
    place = f"container {task.get('name')!r}"
    own = [variable.get("name") for variable in listed(task, "env")]
    add_named(task, "env", parts.environment, place, before=own)
    add_mounts(task, parts.mounts, place)


def _end_with_the_task(spec: dict[str, Any], sidecar: Sidecar, parts: Parts) -> None:
    """A task's pod ends when the task ends, and a gate that gives up ends it too."""
    policy = spec.setdefault("restartPolicy", "Never")
    if policy != "Never" and (parts.steps or not sidecar.native):
        raise PodError(
            [f"restartPolicy {policy!r} would start a failed gate again for ever"],
            hint="a task's pod has restartPolicy: Never; a Job counts its retries itself",
        )
    limit, budget = spec.get("activeDeadlineSeconds"), sidecar.budget_seconds
    if limit is not None and limit <= budget:
        raise PodError(
            [f"activeDeadlineSeconds {limit} ends before the server's {budget} to start"]
        )
    stop = max(STOP_SECONDS, parts.drain_seconds + _END_SECONDS)
    grace = spec.setdefault("terminationGracePeriodSeconds", _TASK_SECONDS + stop)
    if not isinstance(grace, int) or grace < stop:
        raise PodError(
            [f"terminationGracePeriodSeconds {grace} is less than the server's {stop}"],
            hint="the server stops after the task, in what is left of the pod's time",
        )


def _own_the_store(spec: dict[str, Any], group: int) -> None:
    """A claim belongs to root until somebody says whose it is; what the pod says stands."""
    given = mapped(spec, "securityContext")
    if "fsGroup" not in given:
        ours = {"fsGroup": group, "fsGroupChangePolicy": "OnRootMismatch"}
        spec["securityContext"] = {**ours, **given}


def _refuse_more_gpus(spec: dict[str, Any], sidecar: Sidecar) -> None:
    """Of the tasks' containers: two servers have theirs because each was told so."""
    vendor = sidecar.gpu_resource.partition("/")[0]
    asked = {
        f"{container.get('name')} ({resource})": int(parse_quantity(amount))
        for container in listed(spec, "containers")
        if container.get("name") != sidecar.name
        for resource, amount in mapped(mapped(container, "resources"), "limits").items()
        if resource.startswith(f"{vendor}/")
    }
    if sidecar.gpu and sum(asked.values()):
        total = sidecar.gpu + sum(asked.values())
        others = ", ".join(asked)
        raise PodError(
            [f"GPUs add up to {total}: {sidecar.gpu} of the server, the rest of {others}"],
            hint="take them from the task, or say that they add up (gpus_add_up)",
        )
