# SPDX-License-Identifier: Apache-2.0
"""A pod's status as the API has it, and the exit code that `imagekit pod run` makes of it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from imagekit.pods.lifecycle import Lifecycle
from imagekit.pods.model import Role
from imagekit.pods.record import Ended, Record, State

INTERRUPTED = 130


def phase_of(lifecycle: Lifecycle) -> str:
    """Of a pod that is over, or on its way. Sidecars have no say in it."""
    records = [lifecycle.records[spec.name] for spec in lifecycle.pod.main]
    ending = lifecycle.ending
    if ending is None:
        return "Running" if lifecycle.initialized else "Pending"
    if ending.reason == "DeadlineExceeded" or any(
        record.state is not State.TERMINATED or record.failed for record in records
    ):
        return "Failed"
    return "Succeeded"


def exit_code_of(lifecycle: Lifecycle) -> int:
    """0 for Succeeded, 130 if the pod was deleted before its end, else a failed container's own.

    It is the first one's, in the order of the pod; 1 where none has one.
    """
    if phase_of(lifecycle) == "Succeeded":
        return 0
    if lifecycle.ending is not None and lifecycle.ending.reason == "Deleted":
        return INTERRUPTED
    failed = (
        record.ended.code
        for record in lifecycle.records.values()
        if not record.is_sidecar and record.ended is not None and record.ended.code
    )
    return next(failed, 1)


def status_of(lifecycle: Lifecycle, epoch: float) -> dict[str, Any]:
    """`epoch` is the wall clock's time at which the lifecycle's clock showed zero."""
    pod, ending = lifecycle.pod, lifecycle.ending
    status: dict[str, Any] = {"phase": phase_of(lifecycle)}
    if ending is not None and ending.reason:
        status["reason"] = ending.reason
    if ending is not None and ending.message:
        status["message"] = ending.message
    records = lifecycle.records.values()
    initial = [_container(record, epoch) for record in records if record.spec.role is not Role.MAIN]
    if initial:
        status["initContainerStatuses"] = initial
    main = [_container(record, epoch) for record in records if record.spec.role is Role.MAIN]
    status["containerStatuses"] = main
    metadata = {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}


def _container(record: Record, epoch: float) -> dict[str, Any]:
    state: dict[str, Any]
    if record.state is State.TERMINATED and record.ended is not None:
        state = {"terminated": _terminated(record, record.ended, epoch)}
    elif record.state is State.RUNNING:
        state = {"running": {"startedAt": _time(record.started_at + epoch)}}
    else:
        state = {"waiting": {"reason": "PodInitializing"}}
    return {
        "name": record.name,
        "image": record.spec.image,
        "ready": record.ready,
        "started": record.started,
        "restartCount": record.attempt,
        "state": state,
    }


def _terminated(record: Record, ended: Ended, epoch: float) -> dict[str, Any]:
    found: dict[str, Any] = {"exitCode": ended.code, "reason": ended.reason}
    if ended.message:
        found["message"] = ended.message
    started = min(record.started_at, ended.at)
    return {
        **found,
        "startedAt": _time(started + epoch),
        "finishedAt": _time(ended.at + epoch),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
