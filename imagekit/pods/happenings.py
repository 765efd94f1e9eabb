# SPDX-License-Identifier: Apache-2.0
"""What the lifecycle is told, and what it asks for. Both name a container and one run of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imagekit.pods.model import ProbeKind

Moment = Literal["postStart", "preStop"]


@dataclass(frozen=True, slots=True)
class Run:
    """The `attempt`-th run of a container, from 0: how often it was restarted before."""

    container: str
    attempt: int


# What happens.


@dataclass(frozen=True, slots=True)
class Started:
    run: Run


@dataclass(frozen=True, slots=True)
class StartFailed:
    run: Run
    message: str


@dataclass(frozen=True, slots=True)
class Exited:
    run: Run
    code: int
    message: str = ""
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class Probed:
    run: Run
    kind: ProbeKind
    passed: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class HookEnded:
    run: Run
    moment: Moment
    passed: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Deleted:
    """Somebody wants the pod gone; a second time, at once."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    pass


Event = Started | StartFailed | Exited | Probed | HookEnded | Deleted | TimePassed


# What is to be done.


@dataclass(frozen=True, slots=True)
class Start:
    run: Run


@dataclass(frozen=True, slots=True)
class AskProbe:
    run: Run
    kind: ProbeKind


@dataclass(frozen=True, slots=True)
class RunHook:
    run: Run
    moment: Moment


@dataclass(frozen=True, slots=True)
class Signal:
    """`TERM` stands for the container's own stop signal."""

    run: Run
    name: Literal["TERM", "KILL"]


@dataclass(frozen=True, slots=True)
class Note:
    """For people. `lines` asks for the container's last lines with it."""

    text: str
    container: str | None = None
    lines: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing of the pod runs any more."""


Action = Start | AskProbe | RunHook | Signal | Note | Finish
