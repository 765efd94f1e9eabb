# SPDX-License-Identifier: Apache-2.0
"""What a worker tells of its steps while it builds, as events that a display can show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, final

from imagekit.values import frozen


@frozen
class StepStarted:
    """Numbers count from 1, in the order in which steps were first heard of."""

    number: int
    name: str


@frozen
class StepOutput:
    number: int
    text: bytes


@frozen
class StepAmount:
    """How far a transfer within a step has come; a total of 0 is not known."""

    number: int
    what: str
    current: int
    total: int


@frozen
class StepEnded:
    number: int
    seconds: float
    cached: bool
    error: str


@frozen
class StepWarning:
    number: int
    text: str


Event: TypeAlias = StepStarted | StepOutput | StepAmount | StepEnded | StepWarning


class Listener(Protocol):
    """Hears the events of a build, from one thread."""

    def hear(self, event: Event) -> None: ...


@dataclass(slots=True)
class _Step:
    number: int
    name: str
    started: float | None = None
    ended: bool = False


@final
class Reader:
    """Turns StatusResponse messages, which repeat themselves, into events, each told once."""

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}
        self._tail: dict[str, bytes] = {}
        self._failed: str | None = None

    def events(self, response: Mapping[str, Any]) -> Iterator[Event]:
        for vertex in response.get("vertexes", ()):
            yield from self._vertex(vertex)
        for status in response.get("statuses", ()):
            step = self._steps.get(status.get("vertex", ""))
            if step is not None:
                what = status.get("name") or status.get("ID", "")
                yield StepAmount(
                    step.number, what, status.get("current", 0), status.get("total", 0)
                )
        for log in response.get("logs", ()):
            step = self._steps.get(log.get("vertex", ""))
            if step is not None:
                text = log.get("msg", b"")
                self._tail[log["vertex"]] = (self._tail.get(log["vertex"], b"") + text)[-_TAIL:]
                yield StepOutput(step.number, text)
        yield from self._warnings(response.get("warnings", ()))

    @property
    def failed_step(self) -> tuple[str, str] | None:
        """Name and last output of the step that failed, if one did."""
        if self._failed is None:
            return None
        return self._steps[self._failed].name, self._printed(self._failed)

    @property
    def running_step(self) -> tuple[str, str] | None:
        """Name and last output of a step that has begun and not ended."""
        running = [d for d, s in self._steps.items() if s.started is not None and not s.ended]
        return (self._steps[running[-1]].name, self._printed(running[-1])) if running else None

    def _printed(self, digest: str) -> str:
        return self._tail.get(digest, b"").decode(errors="replace").strip()

    def _vertex(self, vertex: Mapping[str, Any]) -> Iterator[Event]:
        digest = vertex.get("digest", "")
        step = self._steps.get(digest)
        if step is None:
            step = self._steps[digest] = _Step(len(self._steps) + 1, vertex.get("name", ""))
        if "started" in vertex and step.started is None:
            step.started = seconds(vertex["started"])
            yield StepStarted(step.number, step.name)
        if step.ended or "completed" not in vertex:
            return
        if step.started is None:
            yield StepStarted(step.number, step.name)
        step.ended = True
        error = vertex.get("error", "")
        if error and not error.endswith(("context canceled", "context canceled: context canceled")):
            self._failed = digest
        ended = seconds(vertex["completed"])
        took = ended - (ended if step.started is None else step.started)
        yield StepEnded(step.number, max(took, 0.0), vertex.get("cached", False), error)

    def _warnings(self, warnings: Sequence[Mapping[str, Any]]) -> Iterator[Event]:
        for warning in warnings:
            step = self._steps.get(warning.get("vertex", ""))
            text = warning.get("short", b"").decode(errors="replace")
            yield StepWarning(0 if step is None else step.number, text)


_TAIL = 8192


def seconds(timestamp: Mapping[str, int]) -> float:
    return timestamp.get("seconds", 0) + timestamp.get("nanos", 0) / 1e9
