# SPDX-License-Identifier: Apache-2.0
"""Fields that are unknown, wrong, refused, or without effect."""

from __future__ import annotations

from typing import Any

import pytest

from imagekit.pods.refuse import refusals, without_effect


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


def container(**more: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "c", "image": "i", **more}])


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (pod(contaners=[]), "spec.contaners: not a field that can be run here; did you mean"),
        (container(comand=["a"]), "spec.containers[0].comand: not a field that can be run here"),
        (container(command="sh"), "spec.containers[0].command: 'sh' is no list of strings"),
        (container(command=["a", 1]), "spec.containers[0].command: ['a', 1] is no list of strings"),
        (container(ports={}), "spec.containers[0].ports: {} is no list"),
        (container(env=["A=b"]), "spec.containers[0].env[0]: 'A=b' is no mapping"),
        (
            container(env=[{"name": "A", "value": 1}]),
            "spec.containers[0].env[0].value: 1 is no string",
        ),
        (
            container(resources={"limits": {"memory": "1 GB"}}),
            "spec.containers[0].resources.limits: '1 GB' is no Kubernetes quantity",
        ),
        (
            container(securityContext={"privileged": True}),
            "spec.containers[0].securityContext.privileged: True: only False",
        ),
        (
            container(livenessProbe={"grpc": {"port": 1}}),
            "spec.containers[0].livenessProbe.grpc: gRPC probes can't be asked here",
        ),
        (container(restartPolicy="Never"), "spec.containers[0].restartPolicy: not a field"),
        (
            pod(initContainers=[{"name": "i", "restartPolicy": "Never"}]),
            "spec.initContainers[0].restartPolicy: 'Never': only Always",
        ),
        (
            pod(volumes=[{"name": "v", "csi": {}}]),
            "spec.volumes[0].csi: not a field that can be run here",
        ),
        (pod(terminationGracePeriodSeconds=True), "spec.terminationGracePeriodSeconds: True is no"),
        (pod(hostPID=True), "spec.hostPID: True: only False"),
        ([], "the document: [] is no mapping"),
        (pod(containers=[None]), "spec.containers[0]: is empty"),
        (container(env=[None]), "spec.containers[0].env[0]: is empty"),
        (
            container(ports=[{"hostPort": 1}]),
            "spec.containers[0].ports[0].containerPort: is missing",
        ),
        (
            container(livenessProbe={"httpGet": {}}),
            "spec.containers[0].livenessProbe.httpGet.port: is missing",
        ),
        (
            container(lifecycle={"preStop": {"sleep": {}}}),
            "spec.containers[0].lifecycle.preStop.sleep.seconds: is missing",
        ),
        (
            container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]),
            "spec.containers[0].env[0].valueFrom.secretKeyRef.key: is missing",
        ),
        (pod(hostAliases=[{"hostnames": ["a"]}]), "spec.hostAliases[0].ip: is missing"),
        (
            pod(volumes=[{"name": "v", "secret": {"items": [{"key": "a"}]}}]),
            "spec.volumes[0].secret.items[0].path: is missing",
        ),
        (
            pod(volumes=[{"name": "v", "image": {}}]),
            "spec.volumes[0].image.reference: is missing",
        ),
    ],
)
def test_a_field_is_refused_by_its_path(document: Any, problem: str) -> None:
    """With the reason, and a hint where a name is nearly right."""
    (found,) = refusals(document)
    assert found.startswith(problem)


def test_everything_is_said_at_once() -> None:
    """In the document's order; null is no value."""
    document = container(stdin=True, tty=True, comand=None)
    document["spec"]["hostIPC"] = True
    assert [line.partition(":")[0] for line in refusals(document)] == [
        *("spec.containers[0].stdin", "spec.containers[0].tty", "spec.hostIPC")
    ]


def test_what_has_no_effect_is_named() -> None:
    """Each by its path, wherever it stands."""
    document = container(resizePolicy=[], env=[{"name": "A"}])
    document["spec"] |= {"tolerations": [{}], "affinity": None}
    document["status"] = {}
    assert list(refusals(document)) == []
    assert list(without_effect(document)) == [
        *("spec.containers[0].resizePolicy", "spec.tolerations", "status")
    ]
