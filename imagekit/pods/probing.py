# SPDX-License-Identifier: Apache-2.0
"""When a probe is asked, and what its answers come to.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes
The kubelet's rounds run on a clock of their own; here they begin when the container starts.
"""

from __future__ import annotations

from dataclasses import dataclass

from imagekit.pods.model import Probe, ProbeKind


@dataclass(slots=True)
class Prober:
    """One probe of one run of a container, which started at `since`."""

    kind: ProbeKind
    probe: Probe
    since: float
    settled: bool | None = None
    """What the answers came to so far; None before the first threshold is reached."""
    asking: bool = False
    over: bool = False
    """Nothing is asked any more: a startup probe passed, or the container is being stopped."""
    _next_at: float = 0.0
    _last: bool | None = None
    _streak: int = 0

    def __post_init__(self) -> None:
        self._next_at = self.since + self.probe.initial_delay

    def due_at(self) -> float | None:
        return None if self.asking or self.over else self._next_at

    def asked(self, now: float) -> None:
        self.asking = True
        self._next_at = now + self.probe.period

    def not_before(self, now: float) -> None:
        """The startup probe has just passed: rounds begin now, or later as they would have."""
        self._next_at = max(self.since + self.probe.initial_delay, now)

    def answered(self, passed: bool) -> bool:
        """Count an answer; returns whether it reached its threshold, so that it has an effect."""
        self.asking = False
        self._streak = self._streak + 1 if passed == self._last else 1
        self._last = passed
        probe = self.probe
        if self._streak < (probe.success_threshold if passed else probe.failure_threshold):
            return False
        before, self.settled = self.settled, passed
        if self.kind == "startup":
            self.over = passed
        if not passed and self.kind != "readiness":
            self.over = True
        return before != passed
