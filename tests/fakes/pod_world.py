# SPDX-License-Identifier: Apache-2.0
"""A fake of a container engine for the pods' lifecycle, with a clock of its own.

It does what the lifecycle asks for, as each container's script says, and tells it of that in the
order of time. Nothing waits.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from imagekit.pods.happenings import (
    AskProbe,
    Deleted,
    Event,
    Exited,
    Finish,
    HookEnded,
    Note,
    Probed,
    Run,
    RunHook,
    Signal,
    Start,
    Started,
    StartFailed,
    TimePassed,
)
from imagekit.pods.lifecycle import Lifecycle
from imagekit.pods.model import Pod

FOREVER = 10.0**9


@dataclass(frozen=True, slots=True)
class Life:
    """One run of a container: how it goes if nobody stops it, and how it takes being stopped."""

    lasts: float = FOREVER
    code: int = 0
    stops_after: float = 0.0
    """Seconds from SIGTERM to its end; FOREVER ignores the signal."""
    starts: bool = True
    passes: Mapping[str, float] = field(default_factory=dict)
    """By kind of probe: it fails before that many seconds, and passes from then on."""
    hooks: Mapping[str, tuple[float, bool]] = field(default_factory=dict)
    """By moment: how long it takes, and whether it works."""


@dataclass
class World:
    """`lives` has the runs of each container; the last one stays."""

    pod: Pod
    lives: Mapping[str, Sequence[Life]] = field(default_factory=dict)
    now: float = 0.0
    story: list[tuple[float, str]] = field(default_factory=list)
    """What happened: `start NAME`, `end NAME CODE`, `TERM NAME`, `KILL NAME`, `note ...`, ..."""
    _queue: list[tuple[float, int, Event]] = field(default_factory=list)
    _count: itertools.count[int] = field(default_factory=itertools.count)
    _began: dict[Run, float] = field(default_factory=dict)
    _over: set[Run] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.lifecycle = Lifecycle(self.pod)

    def play(self, *, deleted_at: Sequence[float] = (), until: float = 3600.0) -> World:
        """To the pod's end, or that time."""
        for at in deleted_at:
            self._push(at, Deleted())
        self._do(self.lifecycle.begin(self.now))
        while not self.lifecycle.finished:
            due = self.lifecycle.due_at()
            event: Event = TimePassed()
            if self._queue and (due is None or self._queue[0][0] <= due):
                at, _, event = heapq.heappop(self._queue)
            elif due is not None:
                at = due
            else:
                raise AssertionError(f"nothing will ever happen: {self.story}")
            if at > until:
                break
            assert at >= self.now
            self.now = at
            if self._happens(event):
                self._do(self.lifecycle.handle(event, self.now))
        return self

    def times(self, what: str) -> list[float]:
        return [at for at, text in self.story if text == what]

    def told(self) -> list[str]:
        """The story without its times and notes."""
        return [text for _, text in self.story if not text.startswith("note")]

    def _life(self, run: Run) -> Life:
        lives = self.lives.get(run.container) or [Life()]
        return lives[min(run.attempt, len(lives) - 1)]

    def _push(self, at: float, event: Event) -> None:
        heapq.heappush(self._queue, (at, next(self._count), event))

    def _tell(self, text: str) -> None:
        self.story.append((self.now, text))

    def _happens(self, event: Event) -> bool:
        """A container ends once; what is asked of one that has ended is never answered."""
        if isinstance(event, Exited):
            if event.run in self._over:
                return False
            self._over.add(event.run)
            self._tell(f"end {event.run.container} {event.code}")
        return not (isinstance(event, Probed | HookEnded) and event.run in self._over)

    def _do(self, actions: Sequence[object]) -> None:
        for action in actions:
            match action:
                case Start():
                    self._start(action.run)
                case AskProbe():
                    age = self.now - self._began[action.run]
                    passed = age >= self._life(action.run).passes.get(action.kind, 0.0)
                    self._tell(f"{action.kind} {action.run.container} {passed}")
                    self._push(self.now, Probed(action.run, action.kind, passed, "as told"))
                case RunHook():
                    lasts, works = self._life(action.run).hooks.get(action.moment, (0.0, True))
                    self._tell(f"{action.moment} {action.run.container}")
                    self._push(self.now + lasts, HookEnded(action.run, action.moment, works))
                case Signal():
                    self._signal(action)
                case Note():
                    self._tell(f"note {action.container} {action.text}")
                case Finish():
                    self._tell("finish")

    def _start(self, run: Run) -> None:
        life = self._life(run)
        self._tell(f"start {run.container}")
        if not life.starts:
            self._push(self.now, StartFailed(run, "as told"))
            return
        self._began[run] = self.now
        self._push(self.now, Started(run))
        self._push(self.now + life.lasts, Exited(run, life.code))

    def _signal(self, action: Signal) -> None:
        life = self._life(action.run)
        self._tell(f"{action.name} {action.run.container}")
        if action.name == "KILL":
            self._push(self.now, Exited(action.run, 137))
        else:
            self._push(self.now + life.stops_after, Exited(action.run, life.code or 143))
