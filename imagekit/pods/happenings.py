# SPDX-License-Identifier: Apache-2.0
"""What the lifecycle is told, and what it asks for. Both name a container and one run of it."""

from __future__ import annotations

from typing import Literal

from imagekit.pods.model import ProbeKind
from imagekit.values import frozen

Moment = Literal["postStart", "preStop"]


@frozen
class Run:
    """The `attempt`-th run of a container, from 0: how often it was restarted before."""

    container: str
    attempt: int


# What happens.


@frozen
class Started:
    run: Run


@frozen
class StartFailed:
    run: Run
    message: str


@frozen
class Exited:
    run: Run
    code: int
    message: str = ""
    out_of_memory: bool = False


@frozen
class Probed:
    run: Run
    kind: ProbeKind
    passed: bool
    message: str = ""


@frozen
class HookEnded:
    run: Run
    moment: Moment
    passed: bool
    message: str = ""


@frozen
class Deleted:
    """Somebody wants the pod gone; a second time, at once."""


@frozen
class TimePassed:
    pass


Event = Started | StartFailed | Exited | Probed | HookEnded | Deleted | TimePassed


# What is to be done.


@frozen
class Start:
    run: Run


@frozen
class AskProbe:
    run: Run
    kind: ProbeKind


@frozen
class RunHook:
    run: Run
    moment: Moment


@frozen
class Signal:
    """`TERM` stands for the container's own stop signal."""

    run: Run
    name: Literal["TERM", "KILL"]


@frozen
class Note:
    """For people. `lines` asks for the container's last lines with it."""

    text: str
    container: str | None = None
    lines: bool = False


@frozen
class Finish:
    """Nothing of the pod runs any more."""


Action = Start | AskProbe | RunHook | Signal | Note | Finish
