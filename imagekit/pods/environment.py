# SPDX-License-Identifier: Apache-2.0
"""The variables of a container: `envFrom`, then `env` in its order, each seeing those before it.

https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
The image's own variables come below these, and are no part of `$(VAR)`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from imagekit.pods.documents import Data, DataKind
from imagekit.pods.expand import expand
from imagekit.pods.model import Container, Pod
from imagekit.values import frozen
from sidecars.quantity import parse_quantity

_BY_KEY = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
_ALL_KEYS: tuple[tuple[DataKind, str], ...] = (
    ("Secret", "secretRef"),
    ("ConfigMap", "configMapRef"),
)
_ONE_KEY: tuple[tuple[DataKind, str], ...] = (
    ("Secret", "secretKeyRef"),
    ("ConfigMap", "configMapKeyRef"),
)
_PAGE = "SC_PAGE_SIZE", "SC_PHYS_PAGES"


class MissingError(Exception):
    """A name that leads nowhere: a secret, a key, a field."""


@frozen
class Surroundings:
    """What pods learn of where they run."""

    node: str = "localhost"
    address: str = ""
    """The pod's own."""
    host_address: str = "127.0.0.1"


def variables_of(
    container: Container, pod: Pod, data: Data, around: Surroundings
) -> dict[str, str]:
    """Raises MissingError."""
    found: dict[str, str] = {}
    for source in container.environment_from:
        found.update(_from_all(source, data))
    for variable in container.environment:
        name, value = variable["name"], variable.get("value")
        if value:
            found[name] = expand(value, found)
        elif variable.get("valueFrom"):
            taken = _value_from(variable["valueFrom"], container, pod, data, around)
            if taken is not None:
                found[name] = taken
        else:
            found[name] = ""
    return found


def problems_of_variables(pod: Pod, data: Data) -> Iterator[str]:
    """Every name in the pod's variables that leads nowhere."""
    for container in pod.containers:
        bare = replace(container, environment=(), environment_from=())
        parts = [
            *(replace(bare, environment_from=(each,)) for each in container.environment_from),
            *(replace(bare, environment=(each,)) for each in container.environment),
        ]
        for part in parts:
            try:
                variables_of(part, pod, data, Surroundings())
            except MissingError as error:
                yield f"container {container.name!r}: {error}"


def _from_all(source: Mapping[str, Any], data: Data) -> Iterator[tuple[str, str]]:
    prefix = source.get("prefix") or ""
    for kind, key in _ALL_KEYS:
        reference = source.get(key)
        if reference is None:
            continue
        keys = data.of(kind).get(reference["name"])
        if keys is None and not reference.get("optional"):
            raise MissingError(f"envFrom: no {kind} {reference['name']!r}{_how(kind)}")
        for name, value in sorted((keys or {}).items()):
            yield prefix + name, _text(value, f"{kind} {reference['name']!r}", name)


def _value_from(
    source: Mapping[str, Any], container: Container, pod: Pod, data: Data, around: Surroundings
) -> str | None:
    """None where an optional key is missing."""
    for kind, key in _ONE_KEY:
        if source.get(key) is not None:
            return _of_key(kind, source[key], data)
    if source.get("fieldRef") is not None:
        return field_of(source["fieldRef"]["fieldPath"], pod, around)
    if source.get("resourceFieldRef") is not None:
        return resource_of(source["resourceFieldRef"], container, pod)
    raise MissingError("valueFrom says nothing")


def _of_key(kind: DataKind, reference: Mapping[str, Any], data: Data) -> str | None:
    name, key = reference["name"], reference["key"]
    keys = data.of(kind).get(name)
    if keys is not None and key in keys:
        return _text(keys[key], f"{kind} {name!r}", key)
    if reference.get("optional"):
        return None
    if keys is None:
        raise MissingError(f"no {kind} {name!r}{_how(kind)}")
    raise MissingError(f"{kind} {name!r} has no key {key!r}")


def _how(kind: str) -> str:
    option = "--secret" if kind == "Secret" else "--config-map"
    return f"; {option} NAME=DIR gives one, or a document beside the pod"


def _text(value: bytes, owner: str, key: str) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise MissingError(
            f"{owner}: key {key!r} is no text, and no variable can hold it"
        ) from None
    if "\0" in text:
        raise MissingError(f"{owner}: key {key!r} holds a NUL, and no variable can hold it")
    return text


def field_of(path: str, pod: Pod, around: Surroundings) -> str:
    """A field of the pod, by its path."""
    by_key = _BY_KEY.fullmatch(path)
    if by_key is not None:
        values = pod.labels if by_key[1] == "labels" else pod.annotations
        return values.get(by_key[2], "")
    fields = {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.uid,
        "spec.nodeName": around.node,
        "spec.serviceAccountName": pod.service_account,
        "status.hostIP": around.host_address,
        "status.hostIPs": around.host_address,
        "status.podIP": around.address,
        "status.podIPs": around.address,
    }
    if path not in fields:
        raise MissingError(f"fieldRef: no field {path!r} can be had here")
    return fields[path]


def resource_of(reference: Mapping[str, Any], container: Container, pod: Pod) -> str:
    """A limit or request in units of the divisor, rounded up; of the machine where none is set."""
    if reference.get("containerName"):
        named = [each for each in pod.containers if each.name == reference["containerName"]]
        if not named:
            raise MissingError(f"resourceFieldRef: no container {reference['containerName']!r}")
        container = named[0]
    which, _, resource = reference["resource"].partition(".")
    amounts = {"limits": container.limits, "requests": container.requests}.get(which)
    if amounts is None:
        raise MissingError(f"resourceFieldRef: no resource {reference['resource']!r}")
    amount = amounts.get(resource)
    if amount is None:
        amount = _of_machine(resource) if which == "limits" else Fraction(0)
    divisor = parse_quantity(reference.get("divisor") or "1") or Fraction(1)
    return str(math.ceil(amount / divisor))


def _of_machine(resource: str) -> Fraction:
    if resource == "cpu":
        return Fraction(os.cpu_count() or 1)
    if resource == "memory":
        return Fraction(math.prod(map(os.sysconf, _PAGE)))
    return Fraction(0)
