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
    owner: dict[str, Any], key: str, added: Iterable[Mapping[str, Any]], where: str
) -> None:
    """Append to a list whose members have unique names; an equal member that is there stays.

    Raises PodError where a name is taken by something else.
    """
    present = listed(owner, key)
    taken = {item.get("name"): item for item in present}
    clashes = []
    for item in added:
        name = item["name"]
        if name not in taken:
            present = [*present, dict(item)]
        elif taken[name] != item:
            clashes.append(f"{where}: {key} already has another {name!r}")
    if clashes:
        raise PodError(clashes, hint="give the sidecar another name, or take that one away")
    if present:
        owner[key] = present


def insert_named(
    owner: dict[str, Any], key: str, item: Mapping[str, Any], before: Sequence[str]
) -> None:
    """As add_named, but in front of the first member that has one of the names `before`."""
    present = listed(owner, key)
    names = [each.get("name") for each in present]
    if item["name"] in names:
        add_named(owner, key, [item], "the pod")
        return
    places = [index for index, name in enumerate(names) if name in before]
    place = min(places, default=len(present))
    owner[key] = [*present[:place], dict(item), *present[place:]]
