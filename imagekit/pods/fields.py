# SPDX-License-Identifier: Apache-2.0
"""Every field of a pod that is known here: what it may hold, and whether it has an effect.

A field that is not in the table is refused by its path, as is one that is in it as refused. The
reference page is made from this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from imagekit.values import frozen
from sidecars.quantity import parse_quantity

Effect = Literal["used", "unused", "refused"]


@frozen
class Leaf:
    """`wrong` says what is wrong with a value, or None; `why` is for people."""

    effect: Effect
    wrong: Callable[[Any], str | None]
    why: str = ""


Node = Leaf | Mapping[str, Any] | tuple[Mapping[str, Any]]
"""A value, a mapping of fields, or a list of such mappings."""


def _is(kind: type, name: str) -> Callable[[Any], str | None]:
    def wrong(value: Any) -> str | None:
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        return None if fits else f"{value!r} is no {name}"

    return wrong


def _is_list_of_text(value: Any) -> str | None:
    fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return None if fits else f"{value!r} is no list of strings"


def _is_list_of_numbers(value: Any) -> str | None:
    fits = isinstance(value, list) and all(isinstance(item, int) for item in value)
    return None if fits else f"{value!r} is no list of numbers"


def _is_text_by_name(value: Any) -> str | None:
    fits = isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    return None if fits else f"{value!r} is no mapping of strings"


def _is_quantity(value: Any) -> str | None:
    try:
        parse_quantity(value)
    except ValueError as error:
        return str(error)
    return None


def _is_quantities(value: Any) -> str | None:
    if not isinstance(value, dict):
        return f"{value!r} is no mapping of quantities"
    return next(filter(None, map(_is_quantity, value.values())), None)


def _is_port(value: Any) -> str | None:
    fits = isinstance(value, (int, str)) and not isinstance(value, bool)
    return None if fits else f"{value!r} is no port"


def _nothing_wrong(_: Any) -> None:
    return None


def one_of(*allowed: Any) -> Leaf:
    def wrong(value: Any) -> str | None:
        return None if value in allowed else f"{value!r}: only {' or '.join(map(str, allowed))}"

    return Leaf("used", wrong)


def unused(why: str = "") -> Leaf:
    """Taken, and without effect on a single machine."""
    return Leaf("unused", _nothing_wrong, why)


def refused(why: str) -> Leaf:
    return Leaf("refused", lambda _: why, why)


TEXT = Leaf("used", _is(str, "string"))
NUMBER = Leaf("used", _is(int, "whole number"))
FLAG = Leaf("used", _is(bool, "true or false"))
TEXTS = Leaf("used", _is_list_of_text)
NUMBERS = Leaf("used", _is_list_of_numbers)
TEXT_BY_NAME = Leaf("used", _is_text_by_name)
QUANTITY = Leaf("used", _is_quantity)
QUANTITIES = Leaf("used", _is_quantities)
PORT = Leaf("used", _is_port)

_HTTP_GET = {
    "path": TEXT,
    "port": PORT,
    "host": TEXT,
    "scheme": one_of("HTTP", "HTTPS"),
    "httpHeaders": ({"name": TEXT, "value": TEXT},),
}
_TCP_SOCKET = {"port": PORT, "host": TEXT}
_PROBE = {
    "exec": {"command": TEXTS},
    "httpGet": _HTTP_GET,
    "tcpSocket": _TCP_SOCKET,
    "grpc": refused("gRPC probes can't be asked here; httpGet, tcpSocket and exec can"),
    "initialDelaySeconds": NUMBER,
    "periodSeconds": NUMBER,
    "timeoutSeconds": NUMBER,
    "successThreshold": NUMBER,
    "failureThreshold": NUMBER,
    "terminationGracePeriodSeconds": NUMBER,
}
_HOOK = {
    "exec": {"command": TEXTS},
    "httpGet": _HTTP_GET,
    "tcpSocket": refused("the kubelet does not run it either: it is deprecated"),
    "sleep": {"seconds": NUMBER},
}
_ITEMS = ({"key": TEXT, "path": TEXT, "mode": NUMBER},)
_FIELD = {"fieldPath": TEXT, "apiVersion": one_of("v1")}
_RESOURCE_FIELD = {"resource": TEXT, "containerName": TEXT, "divisor": QUANTITY}
_KEY = {"name": TEXT, "key": TEXT, "optional": FLAG}
_ONLY_DEFAULT_PROFILE = {
    "type": one_of("RuntimeDefault", "Unconfined"),
    "localhostProfile": refused("profiles of a node can't be had here"),
}
_SECURITY_OF_BOTH = {
    "runAsUser": NUMBER,
    "runAsGroup": NUMBER,
    "runAsNonRoot": FLAG,
    "seccompProfile": _ONLY_DEFAULT_PROFILE,
    "appArmorProfile": unused("the engine's own profile applies"),
    "seLinuxOptions": refused("containers run without SELinux labels here"),
    "windowsOptions": refused("only Linux containers are run"),
}
_VOLUME_SOURCES: Mapping[str, Any] = {
    "emptyDir": {"medium": one_of("", "Memory"), "sizeLimit": QUANTITY},
    "hostPath": {
        "path": TEXT,
        "type": one_of("", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"),
    },
    "secret": {"secretName": TEXT, "items": _ITEMS, "defaultMode": NUMBER, "optional": FLAG},
    "configMap": {"name": TEXT, "items": _ITEMS, "defaultMode": NUMBER, "optional": FLAG},
    "downwardAPI": {
        "items": (
            {
                "path": TEXT,
                "fieldRef": _FIELD,
                "resourceFieldRef": _RESOURCE_FIELD,
                "mode": NUMBER,
            },
        ),
        "defaultMode": NUMBER,
    },
    "persistentVolumeClaim": {"claimName": TEXT, "readOnly": FLAG},
    "image": {"reference": TEXT, "pullPolicy": one_of("Always", "IfNotPresent", "Never")},
    "projected": refused("projected volumes are not put together here; use secret and configMap"),
}
_CONTAINER: Mapping[str, Any] = {
    "name": TEXT,
    "image": TEXT,
    "imagePullPolicy": one_of("Always", "IfNotPresent", "Never"),
    "command": TEXTS,
    "args": TEXTS,
    "workingDir": TEXT,
    "env": (
        {
            "name": TEXT,
            "value": TEXT,
            "valueFrom": {
                "secretKeyRef": _KEY,
                "configMapKeyRef": _KEY,
                "fieldRef": _FIELD,
                "resourceFieldRef": _RESOURCE_FIELD,
                "fileKeyRef": refused("variables from files of a volume are not read here"),
            },
        },
    ),
    "envFrom": (
        {
            "prefix": TEXT,
            "secretRef": {"name": TEXT, "optional": FLAG},
            "configMapRef": {"name": TEXT, "optional": FLAG},
        },
    ),
    "ports": (
        {
            "name": TEXT,
            "containerPort": NUMBER,
            "hostPort": NUMBER,
            "hostIP": TEXT,
            "protocol": one_of("TCP", "UDP", "SCTP"),
        },
    ),
    "resources": {
        "limits": QUANTITIES,
        "requests": QUANTITIES,
        "claims": refused("devices of dynamic resource allocation can't be had here"),
    },
    "resizePolicy": unused("nothing is resized"),
    "volumeMounts": (
        {
            "name": TEXT,
            "mountPath": TEXT,
            "readOnly": FLAG,
            "subPath": TEXT,
            "subPathExpr": TEXT,
            "mountPropagation": one_of("None"),
            "recursiveReadOnly": one_of("Disabled"),
        },
    ),
    "volumeDevices": refused("block devices can't be had here"),
    "securityContext": {
        **_SECURITY_OF_BOTH,
        "readOnlyRootFilesystem": FLAG,
        "allowPrivilegeEscalation": FLAG,
        "capabilities": {"add": TEXTS, "drop": TEXTS},
        "privileged": one_of(False),
        "procMount": one_of("Default"),
    },
    "terminationMessagePath": TEXT,
    "terminationMessagePolicy": one_of("File", "FallbackToLogsOnError"),
    "startupProbe": _PROBE,
    "livenessProbe": _PROBE,
    "readinessProbe": _PROBE,
    "lifecycle": {"postStart": _HOOK, "preStop": _HOOK, "stopSignal": TEXT},
    "stdin": one_of(False),
    "stdinOnce": one_of(False),
    "tty": one_of(False),
}
POD_SPEC: Mapping[str, Any] = {
    "initContainers": ({**_CONTAINER, "restartPolicy": one_of("Always")},),
    "containers": (_CONTAINER,),
    "ephemeralContainers": refused("debug containers are not run here"),
    "volumes": ({"name": TEXT, **_VOLUME_SOURCES},),
    "restartPolicy": one_of("Always", "OnFailure", "Never"),
    "terminationGracePeriodSeconds": NUMBER,
    "activeDeadlineSeconds": NUMBER,
    "hostname": TEXT,
    "hostAliases": ({"ip": TEXT, "hostnames": TEXTS},),
    "hostNetwork": FLAG,
    "hostPID": one_of(False),
    "hostIPC": one_of(False),
    "shareProcessNamespace": FLAG,
    "serviceAccountName": TEXT,
    "serviceAccount": TEXT,
    "securityContext": {
        **_SECURITY_OF_BOTH,
        "fsGroup": NUMBER,
        "fsGroupChangePolicy": unused("volumes are new, and change hands at once"),
        "supplementalGroups": NUMBERS,
        "supplementalGroupsPolicy": one_of("Merge"),
        "sysctls": refused("kernel settings are not changed here"),
    },
    "os": {"name": one_of("linux")},
    "dnsPolicy": one_of("ClusterFirst", "Default", "ClusterFirstWithHostNet"),
    "dnsConfig": refused("names are resolved as the engine does it"),
    "subdomain": refused("there are no services here"),
    "setHostnameAsFQDN": one_of(False),
    "readinessGates": refused("nobody here sets conditions"),
    "schedulingGates": refused("there is no scheduler here"),
    "resourceClaims": refused("devices of dynamic resource allocation can't be had here"),
    "resources": refused("a limit of the whole pod can't be set here"),
    "runtimeClassName": refused("the engine's own runtime is used"),
    **{
        name: unused()
        for name in (
            "affinity",
            "automountServiceAccountToken",
            "enableServiceLinks",
            "hostUsers",
            "imagePullSecrets",
            "nodeName",
            "nodeSelector",
            "overhead",
            "preemptionPolicy",
            "priority",
            "priorityClassName",
            "schedulerName",
            "tolerations",
            "topologySpreadConstraints",
        )
    },
}
POD: Mapping[str, Any] = {
    "apiVersion": one_of("v1"),
    "kind": one_of("Pod"),
    "metadata": {
        "name": TEXT,
        "generateName": TEXT,
        "namespace": TEXT,
        "labels": TEXT_BY_NAME,
        "annotations": TEXT_BY_NAME,
        "uid": TEXT,
        **{
            name: unused()
            for name in (
                "creationTimestamp",
                "finalizers",
                "generation",
                "managedFields",
                "ownerReferences",
                "resourceVersion",
            )
        },
    },
    "spec": POD_SPEC,
    "status": unused("it is the server's"),
}
