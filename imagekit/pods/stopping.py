# SPDX-License-Identifier: Apache-2.0
"""How one container is stopped: preStop hook, its turn, SIGTERM, the rest of the grace, SIGKILL.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
All of it shares one grace period, of which only whole seconds count as used. Whoever has used it
up still gets two seconds between the two signals.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

LEAST_SECONDS = 2


class Step(Enum):
    HOOK = "hook"
    TURN = "turn"
    SIGNALLED = "signalled"
    KILLED = "killed"


@dataclass(slots=True)
class Stop:
    """`grace` is what is left of it when the step began, in whole seconds."""

    step: Step
    grace: int
    since: float

    @property
    def due_at(self) -> float | None:
        """When the step ends by itself."""
        if self.step is Step.KILLED:
            return None
        return self.since + self.grace

    def used(self, now: float) -> None:
        """Take what passed since the step began off the grace."""
        self.grace -= int(now - self.since)
        self.since = now

    def signalled(self, now: float) -> None:
        self.step = Step.SIGNALLED
        self.grace = max(self.grace, LEAST_SECONDS)
        self.since = now
