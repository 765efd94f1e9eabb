# SPDX-License-Identifier: Apache-2.0
"""A document into a pod, with Kubernetes' defaults."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from imagekit.errors import PodError
from imagekit.pods.model import Exec, HttpGet, Mount, Port, Probe, Role, Sleep, TcpSocket
from imagekit.pods.parse import parse_pod


def document(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    one = {"name": "c", "image": "i", **(container or {})}
    metadata = {"name": "p"}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": [one], **spec}}


def test_defaults_are_those_of_the_api() -> None:
    """Restarts always, 30 s of grace, no deadline; a container's own are as many."""
    pod = parse_pod(document(), "pod.yaml", "uid")
    assert (pod.name, pod.namespace, pod.uid, pod.hostname) == ("p", "default", "uid", "p")
    assert (pod.restart, pod.grace, pod.active_deadline) == ("Always", 30, None)
    (container,) = pod.main
    assert (container.role, container.message_path) == (Role.MAIN, "/dev/termination-log")
    assert (container.security.escalation, container.message_from_log) == (True, False)


def test_no_grace_is_not_the_default_one() -> None:
    """0 is a value."""
    assert parse_pod(document(terminationGracePeriodSeconds=0), "", "").grace == 0


def test_a_probe_of_zeros_has_the_defaults() -> None:
    """The API reads 0 as not given, but for the delay."""
    zeros = dict.fromkeys(
        ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold"), 0
    )
    probe = {"exec": {"command": ["true"]}, **zeros}
    (container,) = parse_pod(document({"livenessProbe": probe}), "", "").main
    assert container.probes["liveness"] == Probe(Exec(("true",)))
    assert (probe["periodSeconds"], container.probes["liveness"].period) == (0, 10)


@pytest.mark.parametrize(
    ("given", "handler"),
    [
        ({"httpGet": {"port": "web"}}, HttpGet(8080)),
        (
            {"httpGet": {"port": "81", "path": "x", "scheme": "HTTPS"}},
            HttpGet(81, "x", None, "HTTPS"),
        ),
        (
            {"httpGet": {"port": 1, "host": "h", "httpHeaders": [{"name": "A", "value": "b"}]}},
            HttpGet(1, "/", "h", "HTTP", (("A", "b"),)),
        ),
        ({"tcpSocket": {"port": "none"}}, TcpSocket(0)),
    ],
)
def test_ports_are_found_by_number_or_name(given: dict[str, Any], handler: object) -> None:
    """A name that no port has is a port that nobody has."""
    ports = [{"name": "web", "containerPort": 8080}]
    (container,) = parse_pod(document({"ports": ports, "readinessProbe": given}), "", "").main
    assert container.probes["readiness"].handler == handler


def test_roles_follow_from_lists_and_policies() -> None:
    """An init container with restartPolicy Always is a sidecar."""
    initial = [
        {"name": "a", "image": "i"},
        {"name": "b", "image": "i", "restartPolicy": "Always"},
    ]
    pod = parse_pod(document(initContainers=initial), "", "")
    assert [each.role for each in pod.containers] == [Role.INIT, Role.SIDECAR, Role.MAIN]


def test_limits_are_requests_where_none_are_given() -> None:
    """As the API server fills them in."""
    resources = {"limits": {"cpu": "1500m", "memory": "1Gi"}, "requests": {"cpu": 1}}
    (container,) = parse_pod(document({"resources": resources}), "", "").main
    assert container.limits == {"cpu": Fraction(3, 2), "memory": 1024**3}
    assert container.requests == {"cpu": 1, "memory": 1024**3}


def test_a_container_s_security_is_laid_over_the_pod_s() -> None:
    """Field by field."""
    of_pod = {"runAsUser": 1, "runAsGroup": 2, "runAsNonRoot": True, "fsGroup": 3}
    of_container = {"runAsUser": 4, "allowPrivilegeEscalation": False}
    pod = parse_pod(document({"securityContext": of_container}, securityContext=of_pod), "", "")
    security = pod.main[0].security
    assert (security.user, security.group, security.non_root) == (4, 2, True)
    assert (security.escalation, pod.fs_group) == (False, 3)


def test_hooks_mounts_ports_and_aliases_are_read() -> None:
    """With what they leave out."""
    container = {
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}, "stopSignal": "SIGINT"},
        "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a"}],
        "ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}],
    }
    aliases = [{"ip": "192.0.2.1", "hostnames": ["a", "b"]}, {"ip": "192.0.2.2"}]
    pod = parse_pod(document(container, volumes=[{"name": "v"}], hostAliases=aliases), "", "")
    (found,) = pod.main
    assert (found.pre_stop, found.stop_signal) == (Sleep(3), "SIGINT")
    assert found.mounts == (Mount("v", "/v", sub_path="a"),)
    assert pod.ports == (Port(8080, 80),)
    assert pod.host_aliases == (("a", "192.0.2.1"), ("b", "192.0.2.1"))
    assert pod.volumes["v"].kind == "emptyDir"


def test_a_generated_name_is_taken_without_its_end() -> None:
    """There is no server that would complete it; a host name has at most 63 characters."""
    given = document()
    given["metadata"] = {"generateName": "run-"}
    assert parse_pod(given, "", "").name == "run"
    given["metadata"] = {"name": "a" * 62 + ".b"}
    assert parse_pod(given, "", "").hostname == "a" * 62


def test_unknown_fields_come_before_broken_rules() -> None:
    """What is not understood is not judged."""
    with pytest.raises(PodError) as caught:
        parse_pod(document({"imge": "x", "name": "UPPER"}), "pod.yaml", "")
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "spec.containers[0].imge"
    ]
