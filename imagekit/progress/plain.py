# SPDX-License-Identifier: Apache-2.0
"""Steps as lines: for files, pipes, CI, and the log. Each line says whose it is by a number."""

from __future__ import annotations

from typing import Protocol, final

from imagekit.progress.board import Step
from imagekit.sizes import shown_size

_INTERVAL_SECONDS = 5.0


class Writable(Protocol):
    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


@final
class Plain:
    """`#N LABEL` when a step begins, `#N SECONDS TEXT` of its output, `#N DONE 1.2s` at its end.

    How far it is, is said at most once per interval.
    """

    def __init__(self, stream: Writable) -> None:
        self._stream = stream
        self._said: dict[int, float] = {}

    def began(self, step: Step) -> None:
        self._said[step.number] = step.began
        self._say(step, step.label)

    def advanced(self, step: Step, now: float) -> None:
        if now - self._said[step.number] >= _INTERVAL_SECONDS:
            self._said[step.number] = now
            self._say(step, f"{now - step.began:.1f} {shown_amount(step)}")

    def printed(self, step: Step, line: str, now: float) -> None:
        self._say(step, f"{now - step.began:.3f} {line}")

    def ended(self, step: Step) -> None:
        self._said.pop(step.number, None)
        if step.state == "done":
            amount = f" ({shown_size(step.done_bytes)})" if step.done_bytes else ""
            self._say(step, f"DONE {step.took:.1f}s{amount}")
        elif step.state == "failed":
            self._say(step, f"ERROR {' '.join(step.reason.split())}".rstrip())
        else:
            self._say(step, step.state.upper())

    def closed(self, error: str) -> None:
        """The error itself is the program's to say."""

    def _say(self, step: Step, text: str) -> None:
        self._stream.write(f"#{step.number} {text}\n")
        self._stream.flush()


def shown_amount(step: Step) -> str:
    """How far a step is, empty where nobody counts."""
    if not step.done_bytes and not step.total_bytes:
        return ""
    if not step.total_bytes:
        return shown_size(step.done_bytes)
    return f"{shown_size(step.done_bytes)} of {shown_size(step.total_bytes)}"
