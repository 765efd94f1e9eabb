# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a pod: refused by the API server, or accepted in silence."""

from __future__ import annotations

from typing import Any

import pytest

from sidecars import problems_of
from sidecars.quantity import format_bytes, parse_quantity
from tests.unit.sidecars.pods import pod

STEP = {"name": "step", "image": "registry.example/step:1"}
SIDECAR = {**STEP, "restartPolicy": "Always"}
PROBE = {"httpGet": {"path": "/", "port": 80}}
SHM = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}
DISK = {"name": "disk", "emptyDir": {"sizeLimit": "2Gi"}}
MOUNT = [{"name": "shm", "mountPath": "/dev/shm"}]


def task(**fields: Any) -> dict[str, Any]:
    given = pod()
    given["spec"]["containers"][0] |= fields
    return given


def limited(**amounts: Any) -> dict[str, Any]:
    return task(resources={"limits": amounts})


def with_volume(volume: dict[str, Any], **fields: Any) -> dict[str, Any]:
    given = task(volumeMounts=[{"name": volume["name"], "mountPath": "/v"}], **fields)
    given["spec"]["volumes"] = [volume]
    return given


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (pod(initContainers=[{**STEP, "name": "main"}]), "container name 'main'"),
        (pod(initContainers=[{**STEP, "startupProbe": PROBE}]), "startupProbe is for containers"),
        (pod(initContainers=[{**STEP, "lifecycle": {"preStop": {}}}]), "lifecycle is for"),
        (pod(initContainers=[{**STEP, "restartPolicy": "Never"}]), "can only be Always"),
        (pod(volumes=[SHM, SHM]), "volume name 'shm'"),
        (pod(volumes=[{**SHM, "hostPath": {"path": "/"}}]), "several sources: emptyDir, hostPath"),
        (pod(activeDeadlineSeconds=0), "activeDeadlineSeconds 0"),
        (task(name="Main"), "no DNS label"),
        (task(image=None), "no image"),
        (task(image="{{.image.main.fqn}}"), "nobody fills its image"),
        (task(volumeMounts=MOUNT), "mounts volume 'shm', which the pod does not have"),
        (
            pod(volumes=[SHM], containers=[{**STEP, "volumeMounts": MOUNT * 2}]),
            "mountPath '/dev/shm'",
        ),
        (task(ports=[{"containerPort": 70000}]), "containerPort 70000"),
        (task(livenessProbe={**PROBE, "successThreshold": 2}), "needs successThreshold 1"),
        (task(env=[{"name": "A", "value": 1}]), "is 1, and has to be a string"),
        (task(env=[{"name": "A=B", "value": ""}]), "'A=B' is no name"),
        (task(env=[{"name": "A", "value": "", "valueFrom": {}}]), "both value and valueFrom"),
        (limited(**{"nvidia.com/gpu": "500m"}), "whole numbers"),
        (task(resources={"requests": {"nvidia.com/gpu": 1}}), "requested without a limit"),
        (
            task(resources={"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 2}}),
            "request 1 and limit 2 have to be equal",
        ),
        (task(resources={"requests": {"cpu": 2}, "limits": {"cpu": "1"}}), "above the limit"),
        (limited(memory="16GB"), "'16GB' is no Kubernetes quantity"),
        (limited(memory="-1"), "memory -1 is negative"),
        ({"kind": "Pod"}, "no `spec`"),
        (pod(containers={"main": {}}), "`containers` is no list"),
    ],
)
def test_what_the_api_server_refuses(given: dict[str, Any], problem: str) -> None:
    """Told here, with where it stands."""
    found = problems_of(given)
    assert len(found) == 1, found
    assert problem in found[0]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (task(ports=[{"containerPort": 1}] * 2), "port '1/TCP' is there 2 times"),
        (task(readinessProbe={"httpGet": {"port": "web"}}), "port 'web', which the container"),
        (task(env=[{"name": "A"}, {"name": "A"}]), "only the last one counts"),
        (task(env=[{"name": "A", "value": "$(B)"}, {"name": "B"}]), "which is defined after it"),
        (with_volume({"name": "v", "emptyDir": {"medium": "Memory"}}), "without a sizeLimit"),
        (with_volume({"name": "v", "emptyDir": {"sizeLimit": "2 Gi"}}), "no Kubernetes quantity"),
        (with_volume(SHM, resources={"limits": {"memory": "2Gi"}}), "fill all of its memory limit"),
        (task(lifecycle={"preStop": {"sleep": {"seconds": 31}}}), "the pod's grace is 30 s"),
        (
            with_volume(DISK, resources={"limits": {"ephemeral-storage": "1Gi"}}),
            "may hold 2Gi, and its containers' limits on ephemeral-storage allow 1Gi",
        ),
        (
            pod(
                volumes=[DISK],
                initContainers=[{**STEP, "resources": {"limits": {"ephemeral-storage": "64Mi"}}}],
            ),
            "allow 64Mi of all together",
        ),
        (
            pod(
                securityContext={"runAsNonRoot": True},
                containers=[{**STEP, "securityContext": {"runAsUser": 0}}],
            ),
            "the kubelet never starts it",
        ),
        (task(readinessProbe=PROBE, args=["--host", "127.0.0.1"]), "--host=127.0.0.1 listens"),
        (task(readinessProbe=PROBE, command=["x", "--host=localhost"]), "listens elsewhere"),
        (
            task(readinessProbe=PROBE, env=[{"name": "OLLAMA_HOST", "value": "127.0.0.1:11434"}]),
            "listens elsewhere",
        ),
    ],
)
def test_what_the_api_server_takes_in_silence(given: dict[str, Any], problem: str) -> None:
    """And the kubelet, the kernel or the task stumbles over."""
    found = problems_of(given)
    assert len(found) == 1, found
    assert problem in found[0]


@pytest.mark.parametrize(
    "given",
    [
        pod(),
        pod(initContainers=[{**SIDECAR, "startupProbe": PROBE, "lifecycle": {}}]),
        with_volume(SHM, resources={"limits": {"memory": "3Gi"}}),
        task(env=[{"name": "B", "value": ""}, {"name": "A", "value": "$(B) $(date) $$(C)"}]),
        task(ports=[{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]),
        task(args=["--host", "127.0.0.1"]),
        task(readinessProbe={"exec": {"command": ["true"]}}, args=["--host", "127.0.0.1"]),
        task(readinessProbe={"httpGet": {"port": 80, "host": "127.0.0.1"}}, args=["--host=::1"]),
        with_volume(DISK, resources={"limits": {"ephemeral-storage": "2Gi"}}),
        with_volume(DISK),
        pod(
            volumes=[DISK],
            initContainers=[
                {**SIDECAR, "resources": {"limits": {"ephemeral-storage": "1Gi"}}},
                {**STEP, "name": "b", "resources": {"limits": {"ephemeral-storage": "1Gi"}}},
            ],
        ),
        limited(cpu=1, memory="1e9", **{"nvidia.com/gpu": "1"}),
    ],
)
def test_a_sound_pod_has_no_problems(given: dict[str, Any]) -> None:
    """Nothing is made up."""
    assert problems_of(given) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("1Ki", 1024), ("1k", 1000), ("1.5Gi", 1.5 * 1024**3), ("500m", 0.5), ("1e3", 1000)],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str, value: float) -> None:
    """Binary, decimal and small suffixes, and exponents."""
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "1 Gi", "1GB", "Gi", "1e", "1e999", "0x10", True, None])
def test_what_is_no_quantity_is_refused(text: Any) -> None:
    """Also one whose value would fill the memory."""
    with pytest.raises(ValueError, match="no Kubernetes quantity"):
        parse_quantity(text)


def test_sizes_are_rounded_up() -> None:
    """Less than what is needed is too little."""
    assert format_bytes(1) == "1Mi"
    assert format_bytes(1024**3) == "1Gi"
    assert format_bytes(1024**3 + 1) == "1025Mi"
