# SPDX-License-Identifier: Apache-2.0
"""A pod's document into a `Pod`, with Kubernetes' defaults; refused if it can't be run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imagekit.errors import PodError
from imagekit.pods.model import (
    Container,
    Exec,
    Handler,
    HttpGet,
    Mount,
    Pod,
    Port,
    Probe,
    ProbeKind,
    Role,
    Security,
    Sleep,
    TcpSocket,
    Volume,
)
from imagekit.pods.refuse import refusals
from imagekit.pods.rules import violations
from sidecars.quantity import parse_quantity

_PROBES: Mapping[ProbeKind, str] = {
    "startup": "startupProbe",
    "liveness": "livenessProbe",
    "readiness": "readinessProbe",
}


def parse_pod(document: Mapping[str, Any], source: str, uid: str) -> Pod:
    """Read a pod; `uid` is its own unless it has one.

    Raises PodError with everything that the API server would refuse, or that can't be run here.
    """
    problems = list(refusals(document)) or list(violations(document))
    if problems:
        raise PodError(source, problems)
    spec, metadata = document["spec"], document.get("metadata") or {}
    security = spec.get("securityContext") or {}
    name = metadata.get("name") or (metadata.get("generateName") or "pod-").rstrip("-")
    return Pod(
        name=name,
        initial=tuple(
            _container(each, security, initial=True) for each in _list(spec, "initContainers")
        ),
        main=tuple(_container(each, security) for each in spec["containers"]),
        namespace=metadata.get("namespace") or "default",
        uid=metadata.get("uid") or uid,
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        restart=spec.get("restartPolicy") or "Always",
        grace=_given(spec, "terminationGracePeriodSeconds", 30),
        active_deadline=spec.get("activeDeadlineSeconds"),
        volumes={each["name"]: _volume(each) for each in _list(spec, "volumes")},
        hostname=spec.get("hostname") or name[:63].rstrip("-."),
        host_aliases=tuple(
            (host, alias["ip"])
            for alias in _list(spec, "hostAliases")
            for host in alias.get("hostnames") or ()
        ),
        host_network=bool(spec.get("hostNetwork")),
        share_processes=bool(spec.get("shareProcessNamespace")),
        service_account=spec.get("serviceAccountName") or "default",
        fs_group=security.get("fsGroup"),
        groups=tuple(security.get("supplementalGroups") or ()),
        ports=tuple(_published(spec)),
    )


def _list(owner: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return list(owner.get(key) or ())


def _given(owner: Mapping[str, Any], key: str, default: int) -> int:
    found = owner.get(key)
    return default if found is None else int(found)


def _container(
    document: Mapping[str, Any], pod_security: Mapping[str, Any], *, initial: bool = False
) -> Container:
    lifecycle = document.get("lifecycle") or {}
    resources = document.get("resources") or {}
    limits = _quantities(resources.get("limits"))
    return Container(
        name=document["name"],
        image=document["image"],
        role=_role(document, initial=initial),
        pull=document.get("imagePullPolicy") or "IfNotPresent",
        command=tuple(document.get("command") or ()),
        args=tuple(document.get("args") or ()),
        workdir=document.get("workingDir"),
        environment=tuple(_list(document, "env")),
        environment_from=tuple(_list(document, "envFrom")),
        mounts=tuple(_mount(each) for each in _list(document, "volumeMounts")),
        limits=limits,
        requests={**limits, **_quantities(resources.get("requests"))},
        security=_security({**pod_security, **(document.get("securityContext") or {})}),
        probes={
            kind: _probe(document[key], document)
            for kind, key in _PROBES.items()
            if document.get(key)
        },
        post_start=_hook(lifecycle.get("postStart"), document),
        pre_stop=_hook(lifecycle.get("preStop"), document),
        stop_signal=lifecycle.get("stopSignal"),
        message_path=document.get("terminationMessagePath") or "/dev/termination-log",
        message_from_log=document.get("terminationMessagePolicy") == "FallbackToLogsOnError",
    )


def _role(document: Mapping[str, Any], *, initial: bool) -> Role:
    if not initial:
        return Role.MAIN
    return Role.SIDECAR if document.get("restartPolicy") == "Always" else Role.INIT


def _quantities(amounts: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: parse_quantity(amount) for name, amount in (amounts or {}).items()}


def _security(context: Mapping[str, Any]) -> Security:
    capabilities = context.get("capabilities") or {}
    profile = context.get("seccompProfile") or {}
    escalation = context.get("allowPrivilegeEscalation")
    return Security(
        user=context.get("runAsUser"),
        group=context.get("runAsGroup"),
        non_root=bool(context.get("runAsNonRoot")),
        read_only_root=bool(context.get("readOnlyRootFilesystem")),
        escalation=escalation is None or escalation,
        add=tuple(capabilities.get("add") or ()),
        drop=tuple(capabilities.get("drop") or ()),
        unconfined=profile.get("type") == "Unconfined",
    )


def _mount(document: Mapping[str, Any]) -> Mount:
    return Mount(
        volume=document["name"],
        path=document["mountPath"],
        read_only=bool(document.get("readOnly")),
        sub_path=document.get("subPath") or "",
        sub_path_expression=document.get("subPathExpr") or "",
    )


def _volume(document: Mapping[str, Any]) -> Volume:
    sources = [(kind, source) for kind, source in document.items() if kind != "name"]
    kind, source = sources[0] if sources else ("emptyDir", {})
    return Volume(document["name"], kind, source or {})


def _probe(document: Mapping[str, Any], container: Mapping[str, Any]) -> Probe:
    return Probe(
        _handler(document, container),
        initial_delay=_given(document, "initialDelaySeconds", 0),
        period=document.get("periodSeconds") or 10,
        timeout=document.get("timeoutSeconds") or 1,
        success_threshold=document.get("successThreshold") or 1,
        failure_threshold=document.get("failureThreshold") or 3,
        grace=document.get("terminationGracePeriodSeconds"),
    )


def _hook(document: Mapping[str, Any] | None, container: Mapping[str, Any]) -> Handler | None:
    return None if document is None else _handler(document, container)


def _handler(document: Mapping[str, Any], container: Mapping[str, Any]) -> Handler:
    """Exactly one of these is there."""
    if (found := document.get("exec")) is not None:
        return Exec(tuple(found.get("command") or ()))
    if (found := document.get("httpGet")) is not None:
        return HttpGet(
            _port(found["port"], container),
            found.get("path") or "/",
            found.get("host") or None,
            found.get("scheme") or "HTTP",
            tuple((each["name"], each.get("value", "")) for each in _list(found, "httpHeaders")),
        )
    if (found := document.get("tcpSocket")) is not None:
        return TcpSocket(_port(found["port"], container), found.get("host") or None)
    return Sleep(document["sleep"]["seconds"])


def _port(given: int | str, container: Mapping[str, Any]) -> int:
    """A number, or the name of one of the container's ports; port 0, which nobody has, for none."""
    if isinstance(given, int) or given.isdigit():
        return int(given)
    names = {port.get("name"): port["containerPort"] for port in _list(container, "ports")}
    return int(names.get(given, 0))


def _published(spec: Mapping[str, Any]) -> Iterator[Port]:
    for container in (*_list(spec, "initContainers"), *_list(spec, "containers")):
        for port in _list(container, "ports"):
            if port.get("hostPort"):
                address = port.get("hostIP") or "127.0.0.1"
                protocol = (port.get("protocol") or "TCP").lower()
                yield Port(port["hostPort"], port["containerPort"], address, protocol)
