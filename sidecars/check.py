# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a pod: what the API server refuses, and what it accepts and should not.

The second kind matters more: the same port twice, a probe of a port that nobody has, a variable
named before it is defined, more shared memory than memory. Schemas say nothing of these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

from .errors import PodError
from .pod import all_containers, is_sidecar, listed, mapped, running_containers, spec_of
from .quantity import format_bytes, parse_quantity
from .sidecar import LABEL

_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_ASKING = ("httpGet", "tcpSocket")
_LOOPBACK = re.compile(r"(--host|--bind|OLLAMA_HOST)=(https?://)?(127\.|localhost\b|\[?::1\b)")
_VARIABLE = re.compile(r"[ -<>-~]+")  # anything printable but "="
_REFERENCE = re.compile(r"(?<!\$)(?:\$\$)*\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


def problems_of(pod: Mapping[str, Any], *, template: bool = False) -> list[str]:
    """Every problem, in the pod's order.

    The containers of a template get their images later; its init containers get none from anybody.
    """
    try:
        spec = spec_of(pod)
        return [*_pod_problems(spec), *_container_problems(spec, template=template)]
    except PodError as error:
        return list(error.problems)


def _pod_problems(spec: Mapping[str, Any]) -> Iterator[str]:
    containers = [container for _, container in all_containers(spec)]
    if not listed(spec, "containers"):
        yield "the pod has no containers"
    yield from _twice("container name", [each.get("name") for each in containers])
    volumes = listed(spec, "volumes")
    yield from _twice("volume name", [each.get("name") for each in volumes])
    for volume in volumes:
        sources = sorted(str(key) for key in volume if key != "name")
        if len(sources) > 1:
            yield f"volume {volume.get('name')!r} has several sources: {', '.join(sources)}"
        size = mapped(volume, "emptyDir").get("sizeLimit")
        if size is not None:
            yield from _unreadable(f"volume {volume.get('name')!r}: sizeLimit", size)
    ports = [
        f"{port.get('containerPort')}/{port.get('protocol', 'TCP')}"
        for container in running_containers(spec)
        for port in listed(container, "ports")
    ]
    yield from _twice("port", ports, ": the containers of a pod share one network")
    yield from _disk(spec)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and (not isinstance(deadline, int) or deadline < 1):
        yield f"activeDeadlineSeconds {deadline!r} is no positive number of seconds"


def _disk(spec: Mapping[str, Any]) -> Iterator[str]:
    """A kubelet counts volumes on disk against what the limits of containers add up to."""
    needed = sum(
        _readable(mapped(volume, "emptyDir").get("sizeLimit"))
        for volume in listed(spec, "volumes")
        if mapped(volume, "emptyDir").get("medium") != "Memory"
    )
    room = _limit_of_all(spec, "ephemeral-storage")
    if 0 < room < needed:
        yield (
            f"its volumes on disk may hold {format_bytes(needed)}, and its containers' limits on"
            f" ephemeral-storage allow {format_bytes(room)} of all together"
        )


def _limit_of_all(spec: Mapping[str, Any], resource: str) -> Fraction:
    """As Kubernetes adds up a pod's limits: those that run at the same time; 0 without any."""
    running = starting = highest = Fraction(0)
    for key, container in all_containers(spec):
        limit = _readable(mapped(mapped(container, "resources"), "limits").get(resource))
        if key == "containers" or is_sidecar(container):
            running += limit
        if key == "initContainers":
            highest = max(highest, starting + limit)
            starting += limit if is_sidecar(container) else 0
    return max(running, highest)


def _container_problems(spec: Mapping[str, Any], *, template: bool) -> Iterator[str]:
    volumes = {each.get("name"): each for each in listed(spec, "volumes")}
    for key, container in all_containers(spec):
        name = container.get("name")
        found = [
            *_identity(container, template=template and key == "containers"),
            *_lifecycle(container, initial=key == "initContainers"),
            *_stopping(container, spec.get("terminationGracePeriodSeconds", 30)),
            *_ports(container),
            *_environment(container),
            *_mounts(container, volumes),
            *_resources(container),
            *_user(container, mapped(spec, "securityContext")),
            *_listening(container),
        ]
        yield from (f"container {name!r}: {problem}" for problem in found)


def _identity(container: Mapping[str, Any], *, template: bool) -> Iterator[str]:
    if not LABEL.fullmatch(str(container.get("name", ""))):
        yield "its name is no DNS label"
    image = str(container.get("image") or "")
    if not template and not image:
        yield "it has no image"
    if not template and "{{" in image:
        yield f"nobody fills its image {image!r} in"


def _lifecycle(container: Mapping[str, Any], *, initial: bool) -> Iterator[str]:
    if not initial:
        return
    policy = container.get("restartPolicy")
    if policy not in (None, "Always"):
        yield f"restartPolicy {policy!r}: an init container's can only be Always"
    if is_sidecar(container):
        return
    for key in (*_PROBES, "lifecycle"):
        if container.get(key):
            yield f"{key} is for containers that keep running, and this one runs to its end"


def _stopping(container: Mapping[str, Any], grace: Any) -> Iterator[str]:
    hook = mapped(mapped(container, "lifecycle"), "preStop")
    seconds = mapped(hook, "sleep").get("seconds", 0)
    if isinstance(seconds, int) and isinstance(grace, int) and seconds > grace:
        yield f"preStop sleeps {seconds} s, and the pod's grace is {grace} s"


def _ports(container: Mapping[str, Any]) -> Iterator[str]:
    names = set()
    for port in listed(container, "ports"):
        number = port.get("containerPort")
        if not isinstance(number, int) or not 0 < number < 65536:
            yield f"containerPort {number!r} is not within 1 and 65535"
        names.add(port.get("name"))
    for key in _PROBES:
        probe = mapped(container, key)
        for how in _ASKING:
            asked = mapped(probe, how).get("port")
            if isinstance(asked, str) and asked not in names:
                yield f"{key} asks port {asked!r}, which the container does not have"
        if key != "readinessProbe" and probe.get("successThreshold", 1) != 1:
            yield f"{key} needs successThreshold 1"


def _environment(container: Mapping[str, Any]) -> Iterator[str]:
    variables = listed(container, "env")
    names = [variable.get("name") for variable in variables]
    yield from _twice("variable", names, ": only the last one counts")
    for place, variable in enumerate(variables):
        if not _VARIABLE.fullmatch(str(variable.get("name", ""))):
            yield f"{variable.get('name')!r} is no name of an environment variable"
        value = variable.get("value")
        if value is not None and not isinstance(value, str):
            yield f"variable {variable.get('name')} is {value!r}, and has to be a string"
            continue
        if value is not None and "valueFrom" in variable:
            yield f"variable {variable.get('name')} has both value and valueFrom"
        for named in _REFERENCE.findall(value or ""):
            if named in names[place + 1 :] and named not in names[:place]:
                yield f"variable {variable.get('name')} uses $({named}), which is defined after it"


def _mounts(container: Mapping[str, Any], volumes: Mapping[Any, Any]) -> Iterator[str]:
    mounts = listed(container, "volumeMounts")
    yield from _twice("mountPath", [each.get("mountPath") for each in mounts])
    memory = Fraction(0)
    for mount in mounts:
        volume = volumes.get(mount.get("name"))
        if volume is None:
            yield f"it mounts volume {mount.get('name')!r}, which the pod does not have"
            continue
        source = mapped(volume, "emptyDir")
        if source.get("medium") == "Memory":
            size = source.get("sizeLimit")
            if size is None:
                yield f"volume {mount.get('name')!r} is memory without a sizeLimit"
            memory += _readable(size)
    limit = mapped(mapped(container, "resources"), "limits").get("memory")
    if memory >= _readable(limit) > 0:
        yield f"its volumes in memory fill all of its memory limit, {limit}"


def _readable(amount: Any) -> Fraction:
    """Zero for what is absent, or reported elsewhere as no quantity."""
    try:
        return parse_quantity(amount)
    except ValueError:
        return Fraction(0)


def _resources(container: Mapping[str, Any]) -> Iterator[str]:
    resources = mapped(container, "resources")
    requests, limits = mapped(resources, "requests"), mapped(resources, "limits")
    amounts = [*requests.items(), *limits.items()]
    if wrong := [problem for name, amount in amounts for problem in _unreadable(name, amount)]:
        yield from wrong
        return
    for name, amount in amounts:
        if "/" in name and parse_quantity(amount).denominator != 1:
            yield f"{name} {amount}: devices come in whole numbers"
    for name, amount in requests.items():
        if "/" in name and name not in limits:
            yield f"{name} is requested without a limit"
        elif "/" in name and parse_quantity(amount) != parse_quantity(limits[name]):
            yield f"{name}: request {amount} and limit {limits[name]} have to be equal"
        elif name in limits and parse_quantity(amount) > parse_quantity(limits[name]):
            yield f"{name}: the request {amount} is above the limit {limits[name]}"


def _user(container: Mapping[str, Any], pods: Mapping[str, Any]) -> Iterator[str]:
    context = {**pods, **mapped(container, "securityContext")}
    if context.get("runAsNonRoot") and context.get("runAsUser") == 0:
        yield "runAsNonRoot with runAsUser 0: the kubelet never starts it"


def _listening(container: Mapping[str, Any]) -> Iterator[str]:
    """A probe that names no host asks the pod's address."""
    probes = [mapped(mapped(container, key), how) for key in _PROBES for how in _ASKING]
    if not any("port" in probe and not probe.get("host") for probe in probes):
        return
    words = [str(word) for key in ("command", "args") for word in container.get(key) or ()]
    told = [f"{name}={value}" for name, value in pairwise(words)] + words
    told += [f"{each.get('name')}={each.get('value')}" for each in listed(container, "env")]
    yield from (
        f"a probe asks the pod's address, and {text} listens elsewhere"
        for text in told
        if _LOOPBACK.match(text)
    )


def _unreadable(what: str, amount: Any) -> Iterator[str]:
    try:
        if parse_quantity(amount) < 0:
            yield f"{what} {amount} is negative"
    except ValueError as error:
        yield f"{what}: {error}"


def _twice(what: str, values: list[Any], because: str = "") -> Iterator[str]:
    for value, count in Counter(map(str, values)).items():
        if count > 1:
            yield f"{what} {value!r} is there {count} times{because}"
