# SPDX-License-Identifier: Apache-2.0
"""Reading pods as plain dicts, and adding to their lists without replacing anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .errors import PodError

Pod = dict[str, Any]
"""A pod, or a pod template, as Kubernetes spells it: it has a `spec`."""

DEFAULT_PRIMARY = "primary"
"""What Flyte calls the container that runs the task."""


def plain(value: Any) -> Any:
    """A copy in dicts and lists, no two of them shared: one is changed without another."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def spec_of(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The pod's `spec`, to be changed in place."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        raise PodError(["this is no pod: it has no `spec` that is a mapping"])
    if "template" in spec:
        raise PodError(["this is no pod, but something that makes pods of its `spec.template`"])
    return spec


def listed(owner: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The mappings in a list of `owner`; none where the list is absent or null."""
    found = owner.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise PodError([f"`{key}` is no list of mappings"])
    return found


def mapped(owner: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A mapping of `owner`; empty where it is absent or null."""
    found = owner.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise PodError([f"`{key}` is no mapping"])
    return found


def all_containers(spec: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every container with the list that it stands in, in the order in which they start."""
    for key in ("initContainers", "containers"):
        yield from ((key, container) for container in listed(spec, key))


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """Of an init container: whether it keeps running beside the task (KEP-753)."""
    return container.get("restartPolicy") == "Always"


def running_containers(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Those that run while the task runs: they share ports and add up in resources."""
    for key, container in all_containers(spec):
        if key == "containers" or is_sidecar(container):
            yield container


def primary_of(spec: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    """The container that runs the task: by name, else `primary`, else the only one."""
    containers = {str(each.get("name")): each for each in listed(spec, "containers")}
    if name is None and len(containers) == 1:
        return next(iter(containers.values()))
    wanted = name or DEFAULT_PRIMARY
    if wanted not in containers:
        there = ", ".join(containers) or "none"
        raise PodError(
            [f"no container {wanted!r} in the pod; there are: {there}"],
            hint="primary= names the container that runs the task",
        )
    return containers[wanted]


def add_named(
    owner: dict[str, Any],
    key: str,
    added: Iterable[Mapping[str, Any]],
    where: str,
    before: Sequence[Any] = (),
) -> None:
    """Add to a list whose members have unique names; an equal member that is there stays.

    New ones go to the end, or in front of the first member that has one of the names `before`.
    Raises PodError where a name is taken by something else.
    """
    present = listed(owner, key)
    taken = {item.get("name"): item for item in present}
    new = [dict(item) for item in added if taken.get(item["name"]) != item]
    if clashes := [item["name"] for item in new if item["name"] in taken]:
        raise PodError(
            [f"{where}: {key} already has another {name!r}" for name in clashes],
            hint="give the sidecar another name, or take that one away",
        )
    places = [index for index, item in enumerate(present) if item.get("name") in before]
    place = min(places, default=len(present))
    if new:
        owner[key] = [*present[:place], *new, *present[place:]]


def add_mounts(container: dict[str, Any], added: Iterable[Mapping[str, Any]], where: str) -> None:
    """As add_named, for mounts, whose paths are unique."""
    present = listed(container, "volumeMounts")
    taken = {mount.get("mountPath"): mount for mount in present}
    new = [dict(mount) for mount in added if taken.get(mount["mountPath"]) != mount]
    if clashes := [mount["mountPath"] for mount in new if mount["mountPath"] in taken]:
        raise PodError([f"{where}: something else is mounted at {path}" for path in clashes])
    if new:
        container["volumeMounts"] = [*present, *new]
