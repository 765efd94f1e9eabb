# SPDX-License-Identifier: Apache-2.0
"""CrashLoopBackOff: the first restart comes at once, later ones after 10 s, doubled up to 300 s.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
A container that ended more than ten minutes after it was started last begins anew. (The page says
"has executed for 10 minutes"; the kubelet compares with twice its longest pause.)
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_SECONDS = 10.0
LONGEST_SECONDS = 300.0


@dataclass(slots=True)
class Backoff:
    """Of one container. `seconds` is the pause that its next end brings."""

    seconds: float = 0.0
    _started_at: float | None = None

    def ready_at(self, ended_at: float) -> float:
        """When a container that ended then may start again."""
        return ended_at if self._expired(ended_at) else ended_at + self.seconds

    def restarting(self, ended_at: float, now: float) -> None:
        """Take note that it is started again, `now`."""
        if self._expired(ended_at):
            self.seconds = FIRST_SECONDS
        else:
            self.seconds = min(2 * self.seconds, LONGEST_SECONDS)
        self._started_at = now

    def _expired(self, ended_at: float) -> bool:
        return self._started_at is None or ended_at - self._started_at > 2 * LONGEST_SECONDS
