# SPDX-License-Identifier: Apache-2.0
"""A pod as it is run: what was read of a document, with Kubernetes' defaults filled in.

Times are seconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from fractions import Fraction
from typing import Any, Literal

from imagekit.values import frozen

ProbeKind = Literal["startup", "liveness", "readiness"]
RestartPolicy = Literal["Always", "OnFailure", "Never"]


class Role(Enum):
    INIT = "init"
    """Runs to its end before the next one starts."""
    SIDECAR = "sidecar"
    """An init container with `restartPolicy: Always`: keeps running (KEP-753)."""
    MAIN = "main"


@frozen
class Exec:
    command: tuple[str, ...]


@frozen
class HttpGet:
    port: int
    path: str = "/"
    host: str | None = None
    """None is the pod's own address."""
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    headers: tuple[tuple[str, str], ...] = ()


@frozen
class TcpSocket:
    port: int
    host: str | None = None


@frozen
class Sleep:
    seconds: int


Handler = Exec | HttpGet | TcpSocket | Sleep


@frozen
class Probe:
    handler: Handler
    initial_delay: int = 0
    period: int = 10
    timeout: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3
    grace: int | None = None
    """Given to the container that this probe stops, instead of the pod's grace."""


@frozen
class Mount:
    volume: str
    path: str
    read_only: bool = False
    sub_path: str = ""
    sub_path_expression: str = ""


@frozen
class Security:
    """Of a container, with the pod's filled in."""

    user: int | None = None
    group: int | None = None
    non_root: bool = False
    read_only_root: bool = False
    escalation: bool = True
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    unconfined: bool = False
    """No seccomp filter."""


@frozen
class Container:
    """`environment` and `environment_from` are as Kubernetes spells them; see `environment.py`."""

    name: str
    image: str
    role: Role = Role.MAIN
    pull: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    workdir: str | None = None
    environment: tuple[Mapping[str, Any], ...] = ()
    environment_from: tuple[Mapping[str, Any], ...] = ()
    mounts: tuple[Mount, ...] = ()
    limits: Mapping[str, Fraction] = field(default_factory=dict)
    requests: Mapping[str, Fraction] = field(default_factory=dict)
    security: Security = Security()
    probes: Mapping[ProbeKind, Probe] = field(default_factory=dict)
    post_start: Handler | None = None
    pre_stop: Handler | None = None
    stop_signal: str | None = None
    message_path: str = "/dev/termination-log"
    message_from_log: bool = False
    """A container that fails without a message has its last lines as one."""


@frozen
class Volume:
    """`source` is the volume's one member besides its name, as Kubernetes spells it."""

    name: str
    kind: str
    source: Mapping[str, Any]


@frozen
class Port:
    """Published on this machine."""

    host: int
    container: int
    address: str = "127.0.0.1"
    protocol: str = "tcp"


@frozen
class Pod:
    name: str
    initial: tuple[Container, ...]
    """Init containers and sidecars, in the order in which they start."""
    main: tuple[Container, ...]
    namespace: str = "default"
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    restart: RestartPolicy = "Always"
    grace: int = 30
    active_deadline: int | None = None
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    hostname: str = ""
    host_aliases: tuple[tuple[str, str], ...] = ()
    """Name and address."""
    host_network: bool = False
    share_processes: bool = False
    service_account: str = "default"
    fs_group: int | None = None
    groups: tuple[int, ...] = ()
    """Supplemental ones."""
    ports: tuple[Port, ...] = ()

    @property
    def containers(self) -> tuple[Container, ...]:
        return (*self.initial, *self.main)
