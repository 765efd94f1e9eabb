# SPDX-License-Identifier: Apache-2.0
"""A container of a pod as arguments of `docker create`, which `podman create` takes too. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from fractions import Fraction
from typing import Any

from imagekit.engines.container import bind_option
from imagekit.pods.expand import expand
from imagekit.pods.model import Container, Pod
from imagekit.values import frozen

GPU = "nvidia.com/gpu"
UNENFORCED = ("ephemeral-storage", "hugepages-")
"""Resources whose limits no engine here can hold a container to."""
_OF_THE_PROGRAM = re.compile(
    r"(PATH|HOME|USER|TMPDIR|LANG|LC_.*|DOCKER_.*|BUILDKIT_.*|CONTAINERS?_.*|PODMAN_.*|XDG_.*|LD_.*"
    r"|GO.*|SSL_.*|SSH_.*|DBUS_.*|NOTIFY_SOCKET|(?i:.*_proxy))"
)
"""Variables that docker and podman themselves go by."""


@frozen
class ImageFacts:
    """What an image's config says, as the engine has it."""

    id: str
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    stop_signal: str = ""


@frozen
class Seat:
    """Where a container of the pod is put: what it shares, and what its volumes are."""

    name: str
    """The engine's name for it."""
    pause: str
    """The container that it shares namespaces with."""
    labels: Mapping[str, str]
    image: ImageFacts
    variables: Mapping[str, str]
    sources: Mapping[str, str]
    """Where each mount lies on the engine's machine, by its path in the container."""
    message_file: str
    cpus: int
    """What the engine's machine has."""
    host_name: str = ""
    """Where it is not that of the container whose network it shares."""
    gpus: str = ""
    """What `--gpus` is given, for a container that asks for one."""
    own_options: Sequence[str] = ()
    more_groups: Sequence[int] = ()
    read_only: frozenset[str] = frozenset()
    """The paths of mounts that can only be read."""


@frozen
class Creation:
    """`environ` is laid over the program's own: values of variables are no arguments.

    Everybody on a machine can read a program's arguments, and a secret may be among the values.
    """

    arguments: list[str]
    environ: dict[str, str] = field(default_factory=dict, repr=False)


def creation(container: Container, pod: Pod, seat: Seat) -> Creation:
    """What follows the word `create`."""
    variables = dict(seat.variables)
    beside = {name: text for name, text in variables.items() if not _OF_THE_PROGRAM.fullmatch(name)}
    arguments = [
        *("--name", seat.name, "--pull", "never", "--no-healthcheck"),
        *("--log-driver", "none", "--security-opt", "label=disable", *seat.own_options),
        *(word for name, value in seat.labels.items() for word in ("--label", f"{name}={value}")),
        *_namespaces(pod, seat),
        *_mounts(container, seat),
        *_identity(container, seat),
        *_security(container),
        *_limits(container, seat),
        *(word for name in beside for word in ("--env", name)),
        *(
            word
            for name in variables.keys() - beside.keys()
            for word in ("--env", f"{name}={variables[name]}")
        ),
    ]
    if container.workdir:
        arguments += ["--workdir", container.workdir]
    command = [expand(word, variables) for word in container.command]
    args = [expand(word, variables) for word in container.args]
    if command:
        arguments += ["--entrypoint", command[0]]
    return Creation([*arguments, seat.image.id, *command[1:], *args], beside)


def _namespaces(pod: Pod, seat: Seat) -> Iterator[str]:
    yield from ("--network", f"container:{seat.pause}", "--ipc", f"container:{seat.pause}")
    if seat.host_name:
        yield from ("--hostname", seat.host_name)
    if pod.share_processes:
        yield from ("--pid", f"container:{seat.pause}")


def _mounts(container: Container, seat: Seat) -> Iterator[str]:
    for mount in container.mounts:
        source = seat.sources[mount.path]
        yield from (
            "--mount",
            bind_option(source, mount.path, read_only=mount.path in seat.read_only),
        )
    message = bind_option(seat.message_file, container.message_path, read_only=False)
    yield from ("--mount", message)


def _identity(container: Container, seat: Seat) -> Iterator[str]:
    security = container.security
    user = seat.image.user if security.user is None else str(security.user)
    if security.group is not None:
        yield from ("--user", f"{user.partition(':')[0] or '0'}:{security.group}")
    elif security.user is not None:
        yield from ("--user", user)
    for group in seat.more_groups:
        yield from ("--group-add", str(group))


def _security(container: Container) -> Iterator[str]:
    security = container.security
    if security.read_only_root:
        yield "--read-only"
    if not security.escalation:
        yield from ("--security-opt", "no-new-privileges")
    if security.unconfined:
        yield from ("--security-opt", "seccomp=unconfined")
    for option, names in (("--cap-drop", security.drop), ("--cap-add", security.add)):
        for name in names:
            yield from (option, name)


def _limits(container: Container, seat: Seat) -> Iterator[str]:
    limits = container.limits
    if memory := limits.get("memory"):
        # Swap counts as well: a kubelet gives none.
        yield from ("--memory", str(int(memory)), "--memory-swap", str(int(memory)))
    if (cpu := limits.get("cpu")) and cpu < seat.cpus:
        yield from ("--cpus", f"{float(cpu):.3f}")
    if asked := container.requests.get("cpu"):
        yield from ("--cpu-shares", str(max(2, int(asked * 1024))))
    if limits.get(GPU) and seat.gpus:
        yield from ("--gpus", seat.gpus)


def device_problems(pod: Pod, *, gpus: bool) -> Iterator[str]:
    """Devices that containers ask for, and that can't be had."""
    for place, container in enumerate(pod.containers):
        initial = place < len(pod.initial)
        at = place if initial else place - len(pod.initial)
        where = f"spec.{'initContainers' if initial else 'containers'}[{at}].resources.limits"
        for name, amount in container.limits.items():
            if name in ("cpu", "memory") or name.startswith(UNENFORCED) or amount == Fraction(0):
                continue
            if name == GPU and gpus:
                continue
            hint = (
                "; --gpus all gives those of this machine, --gpus none none" if name == GPU else ""
            )
            yield f"{where}.{name}: the engine has no such device{hint}"


def start_problems(container: Container, image: ImageFacts) -> Iterator[str]:
    """What the kubelet finds when it makes a container's configuration."""
    if not (container.command or container.args or image.entrypoint or image.command):
        yield "neither it nor its image says what to run"
    if not container.security.non_root:
        return
    user = image.user.partition(":")[0]
    given = container.security.user
    if given == 0 or (given is None and user in ("", "0", "root")):
        yield "runAsNonRoot, and it would run as root"
    elif given is None and not user.isdigit():
        yield f"runAsNonRoot, and the image's user {user!r} is no number, so nobody can tell"


def facts_of(document: Mapping[str, Any], name: str) -> ImageFacts:
    """From what `image inspect` says of an image's config."""
    return ImageFacts(
        name,
        document.get("User") or "",
        tuple(document.get("Entrypoint") or ()),
        tuple(document.get("Cmd") or ()),
        document.get("StopSignal") or "",
    )
