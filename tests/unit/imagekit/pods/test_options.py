# SPDX-License-Identifier: Apache-2.0
"""A container as arguments of `docker create`."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import pytest

from imagekit.pods.model import Container, Mount, Pod, Security
from imagekit.pods.options import (
    GPU,
    ImageFacts,
    Seat,
    creation,
    device_problems,
    facts_of,
    start_problems,
)

IMAGE = ImageFacts("sha256:1", user="app:staff", entrypoint=("/run",), command=("cmd",))


def made(seat: dict[str, Any] | None = None, pod: dict[str, Any] | None = None, **more: Any) -> Any:
    container = Container("c", "i", **more)
    place = Seat(
        **{
            "name": "name",
            "pause": "pause",
            "labels": {"l": "v"},
            "image": IMAGE,
            "variables": {},
            "sources": {},
            "message_file": "/messages/c-0",
            "cpus": 4,
            **(seat or {}),
        }
    )
    return creation(container, Pod("p", (), (container,), **(pod or {})), place)


def after(arguments: list[str], option: str) -> list[str]:
    """The values of an option."""
    return [value for name, value in itertools.pairwise(arguments) if name == option]


def test_command_and_args_follow_the_image() -> None:
    """With $(VAR) in them; nothing is said where the image's own apply."""
    variables = {"A": "1"}
    arguments = made(
        {"variables": variables}, command=("x", "$(A)"), args=("$(B)", "$$(A)")
    ).arguments
    assert after(arguments, "--entrypoint") == ["x"]
    assert arguments[arguments.index("sha256:1") + 1 :] == ["1", "$(B)", "$(A)"]
    assert made().arguments[-1] == "sha256:1"
    assert after(made(args=("a",)).arguments, "--entrypoint") == []


def test_values_of_variables_are_no_arguments() -> None:
    """But for those by which the engine's own program is set up."""
    given = {"KEY": "hush", "HOME": "/h", "DOCKER_HOST": "d", "https_proxy": "p"}
    found = made({"variables": given})
    assert found.environ == {"KEY": "hush"}
    assert sorted(after(found.arguments, "--env")) == [
        *("DOCKER_HOST=d", "HOME=/h", "KEY", "https_proxy=p")
    ]
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("security", "user"),
    [
        (Security(), []),
        (Security(user=5), ["5"]),
        (Security(user=0), ["0"]),
        (Security(group=6), ["app:6"]),
        (Security(user=5, group=0), ["5:0"]),
    ],
)
def test_users_are_the_pods_where_it_says_so(security: Security, user: list[str]) -> None:
    """A group alone keeps the image's user."""
    assert after(made(security=security).arguments, "--user") == user


def test_privileges_are_options() -> None:
    """Of the root file system, of setuid programs, of capabilities, of system calls."""
    security = Security(
        read_only_root=True, escalation=False, add=("NET_ADMIN",), drop=("ALL",), unconfined=True
    )
    arguments = made({"own_options": ["--own"]}, security=security).arguments
    assert {"--read-only", "--own"} <= set(arguments)
    assert after(arguments, "--security-opt") == [
        *("label=disable", "no-new-privileges", "seccomp=unconfined")
    ]
    assert (after(arguments, "--cap-drop"), after(arguments, "--cap-add")) == (
        ["ALL"],
        ["NET_ADMIN"],
    )


def test_limits_are_limits_and_requests_are_weights() -> None:
    """Memory with no swap on top; no more processors than there are, which docker would refuse."""
    limits = {"memory": Fraction(5, 2) * 1024, "cpu": Fraction(1, 2), GPU: Fraction(1)}
    arguments = made({"gpus": "all"}, limits=limits, requests={"cpu": Fraction(1, 4)}).arguments
    assert after(arguments, "--memory") == after(arguments, "--memory-swap") == ["2560"]
    assert after(arguments, "--cpus") == ["0.500"]
    assert after(arguments, "--cpu-shares") == ["256"]
    assert after(arguments, "--gpus") == ["all"]
    assert after(made(limits={"cpu": Fraction(8)}).arguments, "--cpus") == []
    assert after(made(requests={"cpu": Fraction(1, 10000)}).arguments, "--cpu-shares") == ["2"]


def test_namespaces_are_the_pods() -> None:
    """Network and shared memory always, processes and the host name where they have to be."""
    plain = made().arguments
    assert after(plain, "--network") == after(plain, "--ipc") == ["container:pause"]
    assert not {"--pid", "--hostname"} & set(plain)
    more = made({"host_name": "p"}, {"share_processes": True}).arguments
    assert after(more, "--pid") == ["container:pause"]
    assert after(more, "--hostname") == ["p"]


def test_mounts_are_binds_of_their_sources() -> None:
    """Read-only where they are, and one for the termination message."""
    seat = {"sources": {"/a": "/x,y", "/b": "/z"}, "read_only": frozenset(["/b"])}
    arguments = made(seat, mounts=(Mount("v", "/a"), Mount("w", "/b"))).arguments
    assert after(arguments, "--mount") == [
        'type=bind,"source=/x,y",target=/a',
        "type=bind,source=/z,target=/b,readonly",
        "type=bind,source=/messages/c-0,target=/dev/termination-log",
    ]


@pytest.mark.parametrize(
    ("limits", "gpus", "problems"),
    [
        ({"cpu": 1, "memory": 1, "ephemeral-storage": 1, "hugepages-2Mi": 1, GPU: 0}, False, []),
        ({GPU: 1}, True, []),
        ({GPU: 1}, False, [GPU]),
        ({"amd.com/gpu": 1}, True, ["amd.com/gpu"]),
    ],
)
def test_devices_that_cannot_be_had_are_found(
    limits: dict[str, int], gpus: bool, problems: list[str]
) -> None:
    """Each by its path."""
    container = Container("c", "i", limits={name: Fraction(n) for name, n in limits.items()})
    found = list(device_problems(Pod("p", (container,), (Container("d", "i"),)), gpus=gpus))
    where = "spec.initContainers[0].resources.limits"
    assert [line.partition(": ")[0] for line in found] == [f"{where}.{name}" for name in problems]


@pytest.mark.parametrize(
    ("image", "more", "problem"),
    [
        (ImageFacts("1"), {}, "neither it nor its image says what to run"),
        (ImageFacts("1"), {"args": ("a",)}, None),
        (ImageFacts("1", command=("a",)), {}, None),
        (IMAGE, {"security": Security(non_root=True)}, "the image's user 'app' is no number"),
        (IMAGE, {"security": Security(non_root=True, user=1)}, None),
        (IMAGE, {"security": Security(non_root=True, user=0)}, "it would run as root"),
        (
            ImageFacts("1", command=("a",)),
            {"security": Security(non_root=True)},
            "it would run as root",
        ),
        (ImageFacts("1", "7:8", command=("a",)), {"security": Security(non_root=True)}, None),
    ],
)
def test_what_cannot_start_is_found_before(
    image: ImageFacts, more: dict[str, Any], problem: str | None
) -> None:
    """As the kubelet finds it when it makes a container's configuration."""
    found = list(start_problems(Container("c", "i", **more), image))
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


def test_facts_of_an_image_are_empty_where_it_has_none() -> None:
    """Engines write null for an empty list."""
    assert facts_of({"Entrypoint": None, "Cmd": ["a"], "User": ""}, "1") == ImageFacts(
        "1", command=("a",)
    )
