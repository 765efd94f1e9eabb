# SPDX-License-Identifier: Apache-2.0
"""One container of a pod while the pod runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from imagekit.pods.backoff import Backoff
from imagekit.pods.happenings import Run
from imagekit.pods.model import Container, ProbeKind, Role
from imagekit.pods.probing import Prober
from imagekit.pods.stopping import Stop


class State(Enum):
    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    TERMINATED = "terminated"


@dataclass(slots=True)
class Ended:
    """How the last run ended, in the words of a container status."""

    code: int
    reason: str
    message: str
    at: float


@dataclass(slots=True)
class Record:
    spec: Container
    state: State = State.WAITING
    attempt: int = 0
    started_at: float = 0.0
    ended: Ended | None = None
    hooked: bool = False
    """The postStart hook is over, or there is none."""
    probers: dict[ProbeKind, Prober] = field(default_factory=dict)
    backoff: Backoff = field(default_factory=Backoff)
    stop: Stop | None = None
    stop_wanted: int | None = None
    """The grace of a stop that came while the container was starting."""
    in_order: bool = False
    """It is stopped with the pod, so it waits for its turn."""
    told_backoff: bool = False

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def run(self) -> Run:
        return Run(self.name, self.attempt)

    @property
    def is_sidecar(self) -> bool:
        return self.spec.role is Role.SIDECAR

    @property
    def is_up(self) -> bool:
        return self.state in (State.STARTING, State.RUNNING)

    @property
    def started(self) -> bool:
        """As the container's status says it: it runs, and its startup probe has passed."""
        startup = self.probers.get("startup")
        passed = startup is None or startup.settled is True
        return self.state is State.RUNNING and self.hooked and passed

    @property
    def ready(self) -> bool:
        """An init container is ready when it is done."""
        if self.spec.role is Role.INIT:
            return self.ended is not None and self.ended.code == 0
        readiness = self.probers.get("readiness")
        return self.started and (readiness is None or readiness.settled is True)

    @property
    def failed(self) -> bool:
        return self.state is State.TERMINATED and (self.ended is None or self.ended.code != 0)

    def begin(self, now: float) -> None:
        """It runs: a new set of probes."""
        self.state = State.RUNNING
        self.started_at = now
        self.hooked = self.spec.post_start is None
        self.probers = {kind: Prober(kind, probe, now) for kind, probe in self.spec.probes.items()}

    def end(self, ended: Ended) -> None:
        self.state = State.TERMINATED
        self.ended = ended
        self.probers = {}
        self.stop = None
        self.stop_wanted = None
        self.told_backoff = False

    def again(self, now: float) -> None:
        """Start once more; the backoff is told."""
        if self.ended is None:
            raise ValueError(f"{self.name} has not ended")
        self.backoff.restarting(self.ended.at, now)
        self.attempt += 1
        self.state = State.STARTING
