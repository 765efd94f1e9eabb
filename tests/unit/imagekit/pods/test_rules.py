# SPDX-License-Identifier: Apache-2.0
"""What an API server would refuse, found without one."""

from __future__ import annotations

from typing import Any

import pytest

from imagekit.pods.rules import violations

TRUE = {"exec": {"command": ["true"]}}


def pod(*, init: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """`more` is of the one container, or with `of_` in front of the spec."""
    container = {"name": "c", "image": "i"}
    spec: dict[str, Any] = {"containers": [container], "initContainers": init}
    for name, value in more.items():
        owner = spec if name.startswith("of_") else container
        owner[name.removeprefix("of_")] = value
    return {"spec": spec}


def of_c(rule: str) -> str:
    return f"spec.containers[0].{rule}"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({}, "spec.containers: a pod has at least one"),
        (pod(init=[{"name": "c", "image": "i"}]), "spec: container name 'c' is there 2 times"),
        (pod(of_volumes=[{"name": "v"}, {"name": "v"}]), "spec.volumes: name 'v' is there 2 times"),
        (pod(of_volumes=[{"name": "V"}]), "spec.volumes[0].name: 'V' is no DNS label"),
        (
            pod(of_volumes=[{"name": "v", "emptyDir": {}, "secret": {}}]),
            "spec.volumes[0]: several sources: emptyDir, secret",
        ),
        (pod(of_activeDeadlineSeconds=0), "spec.activeDeadlineSeconds: 0 is less than 1"),
        (pod(name="C"), of_c("name: 'C' is no DNS label")),
        (pod(image=""), of_c("image: is missing")),
        (pod(env=[{"value": "a"}]), of_c("env[0].name: is missing")),
        (
            pod(env=[{"name": "A", "value": "a", "valueFrom": {}}, {"name": "B"}]),
            None,
        ),
        (
            pod(env=[{"name": "A", "value": "a", "valueFrom": {"fieldRef": {}}}]),
            of_c("env[0]: has both value and valueFrom"),
        ),
        (pod(livenessProbe={}), of_c("livenessProbe: says in exactly one way what to do")),
        (
            pod(readinessProbe={**TRUE, "tcpSocket": {"port": 1}}),
            of_c("readinessProbe: says in exactly one way"),
        ),
        (
            pod(livenessProbe={**TRUE, "periodSeconds": -1}),
            of_c("livenessProbe.periodSeconds: -1 is less than 0"),
        ),
        (
            pod(startupProbe={**TRUE, "successThreshold": 2}),
            of_c("startupProbe.successThreshold: has to be 1"),
        ),
        (pod(readinessProbe={**TRUE, "successThreshold": 2}), None),
        (
            pod(readinessProbe={**TRUE, "terminationGracePeriodSeconds": 5}),
            of_c("readinessProbe.terminationGracePeriodSeconds: a readiness probe stops nothing"),
        ),
        (pod(lifecycle={"preStop": {}}), of_c("lifecycle.preStop: says in exactly one way")),
        (pod(lifecycle={"preStop": {"sleep": {"seconds": 1}}, "stopSignal": "SIGINT"}), None),
        (
            pod(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1900m"}}),
            of_c("resources.requests.cpu: 2 is above the limit 1900m"),
        ),
        (
            pod(volumeMounts=[{"name": "none", "mountPath": "/v"}]),
            of_c("volumeMounts[0].name: no volume 'none'"),
        ),
        (
            pod(init=[{"name": "i", "image": "i", "startupProbe": TRUE}]),
            "spec.initContainers[0].startupProbe: only with restartPolicy Always",
        ),
        (
            pod(
                init=[{"name": "i", "image": "i", "startupProbe": TRUE, "restartPolicy": "Always"}]
            ),
            None,
        ),
    ],
)
def test_what_a_server_would_refuse_is_found(document: Any, problem: str | None) -> None:
    """And what it would take is not."""
    found = list(violations(document))
    assert len(found) == (problem is not None)
    if problem is not None:
        assert found[0].startswith(problem)


def test_mounts_are_looked_at_one_by_one() -> None:
    """No two at one path, none without a path, none with two sub-paths."""
    at = {"name": "v", "mountPath": "/v"}
    mounts = [at, at, {"name": "v"}, {**at, "mountPath": "/w", "subPath": "a", "subPathExpr": "b"}]
    document = pod(of_volumes=[{"name": "v"}], volumeMounts=mounts)
    assert list(violations(document)) == [
        of_c("volumeMounts[2].mountPath: is missing"),
        of_c("volumeMounts[3]: has both subPath and subPathExpr"),
        of_c("volumeMounts: mountPath '/v' is there 2 times"),
    ]
