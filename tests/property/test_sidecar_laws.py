# SPDX-License-Identifier: Apache-2.0
"""Laws of `attach`, over pods and sidecars that nobody thought of."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecars import PodError, Sidecar, attach, problems_of
from tests.unit.sidecars.pods import CLAIM, KEY, KINDS

NAMES = st.sampled_from(["a", "b", "c", "model-server", "side"])
VARIABLES = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("ABC"), "value": st.text("$()ABC x")}),
    unique_by=lambda variable: str(variable["name"]),
)
PLAIN = st.fixed_dictionaries(
    {"name": NAMES, "image": st.just("registry.example/x:1"), "env": VARIABLES},
    optional={"ports": st.just([{"containerPort": 9000}])},
)
VOLUMES = st.lists(
    st.fixed_dictionaries({"name": NAMES, "emptyDir": st.just({})}),
    unique_by=lambda volume: str(volume["name"]),
)
SPECS = st.fixed_dictionaries(
    {"containers": st.lists(PLAIN, min_size=1, max_size=2)},
    optional={
        "initContainers": st.lists(PLAIN, max_size=2),
        "volumes": VOLUMES,
        "imagePullSecrets": st.just([{"name": "mine"}]),
        "restartPolicy": st.sampled_from(["Never", "Always"]),
        "nodeSelector": st.just({"pool": "gpu"}),
        "terminationGracePeriodSeconds": st.sampled_from([5, 90]),
    },
)
PODS = SPECS.map(
    lambda spec: {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
)


@st.composite
def sidecars(draw: st.DrawFn) -> Sidecar:
    kind = draw(st.sampled_from(sorted(KINDS)))
    fields: dict[str, Any] = {
        "name": draw(st.sampled_from(["first", "second", "model-server"])),
        "port": draw(st.integers(1, 65535)),
        "gpu": draw(st.integers(0, 8)),
        "weights": draw(st.sampled_from(["1Gi", "3G"])),
        "pull_secrets": draw(st.sampled_from([(), ("theirs",)])),
        "secrets": draw(st.sampled_from([{}, {"TOKEN": KEY}])),
        "store": draw(st.sampled_from([None, CLAIM])),
    }
    return KINDS[kind](**fields)


def attached(pod: Mapping[str, Any], sidecar: Sidecar) -> dict[str, Any] | None:
    try:
        return attach(pod, sidecar, pod["spec"]["containers"][0]["name"])
    except PodError:
        return None


def holds(whole: Any, part: Any) -> bool:
    """Whether everything of `part` is in `whole`, lists in their order."""
    if isinstance(part, dict):
        return all(key in whole and holds(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        rest = iter(whole)
        return all(any(holds(member, wanted) for member in rest) for wanted in part)
    return bool(whole == part)


def as_sets(pod: dict[str, Any]) -> Any:
    """Without the order of what is told apart by its name."""

    def unordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: unordered(each) for key, each in value.items()}
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            return sorted((unordered(each) for each in value), key=repr)
        return value

    return unordered(pod)


@settings(deadline=None)
@given(PODS, sidecars())
def test_attaching_again_changes_nothing(pod: dict[str, Any], sidecar: Sidecar) -> None:
    """Where it could be attached at all."""
    once = attached(pod, sidecar)
    if once is not None:
        assert attached(once, sidecar) == once


@settings(deadline=None)
@given(PODS, sidecars())
def test_nothing_of_the_pod_is_lost(pod: dict[str, Any], sidecar: Sidecar) -> None:
    """Every value is where it was, in its order, and the pod that was given is as it was."""
    before = copy.deepcopy(pod)
    result = attached(pod, sidecar)
    assert pod == before
    if result is not None:
        assert holds(result, pod)


@settings(deadline=None)
@given(PODS, sidecars(), sidecars())
def test_the_order_of_two_does_not_matter(
    pod: dict[str, Any], one: Sidecar, other: Sidecar
) -> None:
    """But for the order in which they start, and which of two clashing ones is refused."""
    ways = []
    for first, second in ((one, other), (other, one)):
        half = attached(pod, first)
        ways.append(None if half is None else attached(half, second))
    assert (ways[0] is None) == (ways[1] is None)
    if ways[0] is not None and ways[1] is not None:
        assert as_sets(ways[0]) == as_sets(ways[1])


@settings(deadline=None)
@given(PODS, sidecars())
def test_every_result_is_sound(pod: dict[str, Any], sidecar: Sidecar) -> None:
    """For Kubernetes' own schemas, strictly, and for our check."""
    result = attached(pod, sidecar)
    if result is not None:
        assert problems_of(result) == []
        kubernetes_validate.validate(result, "1.36", strict=True)
