# SPDX-License-Identifier: Apache-2.0
"""What the API server would refuse in a pod whose fields are all known, with the path in the YAML.

A runner has no server before it. What a server takes in silence, and should not, is a warning: see
`sidecars.check`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sidecars.quantity import parse_quantity
from sidecars.sidecar import LABEL

_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket")
_HOOK_HANDLERS = ("exec", "httpGet", "sleep")
_LISTS = ("initContainers", "containers")


def violations(document: Mapping[str, Any]) -> Iterator[str]:
    """One line per field, in the document's order."""
    spec = document.get("spec") or {}
    if not spec.get("containers"):
        yield "spec.containers: a pod has at least one"
    names = [each.get("name") for key in _LISTS for each in spec.get(key) or ()]
    yield from _twice("spec: container name", names)
    volumes = spec.get("volumes") or ()
    yield from _twice("spec.volumes: name", [each.get("name") for each in volumes])
    for place, volume in enumerate(volumes):
        yield from _volume(volume, f"spec.volumes[{place}]")
    yield from _least(spec, "activeDeadlineSeconds", 1, "spec")
    yield from _least(spec, "terminationGracePeriodSeconds", 0, "spec")
    known = {each.get("name") for each in volumes}
    for key in _LISTS:
        for place, container in enumerate(spec.get(key) or ()):
            path = f"spec.{key}[{place}]"
            yield from _container(container, path)
            yield from _mounts(container, path, known)
            if key == "initContainers" and container.get("restartPolicy") != "Always":
                yield from _runs_to_its_end(container, path)


def _container(container: Mapping[str, Any], path: str) -> Iterator[str]:
    if not LABEL.fullmatch(str(container.get("name", ""))):
        yield f"{path}.name: {container.get('name')!r} is no DNS label"
    if not container.get("image"):
        yield f"{path}.image: is missing"
    for place, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            yield f"{path}.env[{place}].name: is missing"
        if variable.get("value") and variable.get("valueFrom"):
            yield f"{path}.env[{place}]: has both value and valueFrom"
    yield from _asked(container, path)
    yield from _resources(container.get("resources") or {}, f"{path}.resources")


def _asked(container: Mapping[str, Any], path: str) -> Iterator[str]:
    for key in _PROBES:
        probe = container.get(key)
        if probe is not None:
            yield from _one_of(probe, _PROBE_HANDLERS, f"{path}.{key}")
            yield from _probe(probe, key, f"{path}.{key}")
    for key, hook in (container.get("lifecycle") or {}).items():
        if isinstance(hook, Mapping):
            yield from _one_of(hook, _HOOK_HANDLERS, f"{path}.lifecycle.{key}")


def _resources(resources: Mapping[str, Any], path: str) -> Iterator[str]:
    limits = resources.get("limits") or {}
    for name, amount in (resources.get("requests") or {}).items():
        if name in limits and parse_quantity(amount) > parse_quantity(limits[name]):
            yield f"{path}.requests.{name}: {amount} is above the limit {limits[name]}"


def _probe(probe: Mapping[str, Any], key: str, path: str) -> Iterator[str]:
    for name in ("periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold"):
        yield from _least(probe, name, 0, path)
    yield from _least(probe, "initialDelaySeconds", 0, path)
    yield from _least(probe, "terminationGracePeriodSeconds", 1, path)
    if key != "readinessProbe" and (probe.get("successThreshold") or 1) != 1:
        yield f"{path}.successThreshold: has to be 1"
    if key == "readinessProbe" and probe.get("terminationGracePeriodSeconds") is not None:
        yield f"{path}.terminationGracePeriodSeconds: a readiness probe stops nothing"


def _runs_to_its_end(container: Mapping[str, Any], path: str) -> Iterator[str]:
    for key in (*_PROBES, "lifecycle"):
        if container.get(key):
            yield f"{path}.{key}: only with restartPolicy Always may an init container have one"


def _mounts(container: Mapping[str, Any], path: str, known: set[Any]) -> Iterator[str]:
    mounts = container.get("volumeMounts") or ()
    for place, mount in enumerate(mounts):
        where = f"{path}.volumeMounts[{place}]"
        if mount.get("name") not in known:
            yield f"{where}.name: no volume {mount.get('name')!r}"
        if not mount.get("mountPath"):
            yield f"{where}.mountPath: is missing"
        if mount.get("subPath") and mount.get("subPathExpr"):
            yield f"{where}: has both subPath and subPathExpr"
    yield from _twice(f"{path}.volumeMounts: mountPath", [each.get("mountPath") for each in mounts])


def _volume(volume: Mapping[str, Any], path: str) -> Iterator[str]:
    sources = sorted(key for key, source in volume.items() if key != "name" and source is not None)
    if not LABEL.fullmatch(str(volume.get("name", ""))):
        yield f"{path}.name: {volume.get('name')!r} is no DNS label"
    if len(sources) > 1:
        yield f"{path}: several sources: {', '.join(sources)}"


def _one_of(owner: Mapping[str, Any], keys: Sequence[str], path: str) -> Iterator[str]:
    if sum(owner.get(key) is not None for key in keys) != 1:
        yield f"{path}: says in exactly one way what to do: {', '.join(keys)}"


def _least(owner: Mapping[str, Any], key: str, least: int, path: str) -> Iterator[str]:
    value = owner.get(key)
    if value is not None and value < least:
        yield f"{path}.{key}: {value} is less than {least}"


def _twice(what: str, values: Sequence[Any]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what} {value!r} is there {count} times"
