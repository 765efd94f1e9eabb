# SPDX-License-Identifier: Apache-2.0
"""The process that the container starts, usually PID 1: it forks the task and looks after it.

It forks before anything heavy is imported, forwards signals to the task, and reaps the orphans that
a PID 1 inherits (they are its own children then, so no exit code of the task's children is taken).
After SIGTERM it gives the task its grace period. If the task's process ends without having left a
record, because it was stuck in C code, crashed or ran out of memory, the record is written here.
"""

from __future__ import annotations

import os
import sys

from . import signals
from .contract import Command, parse
from .errors import EXIT_CODES, EntrypointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

FORWARDED = (
    signals.SIGHUP,
    signals.SIGINT,
    signals.SIGQUIT,
    signals.SIGTERM,
    signals.SIGUSR1,
    signals.SIGUSR2,
)
_FROM_TERMINAL = (signals.SIGINT, signals.SIGQUIT)


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    try:
        command = parse(argv, environ)
    except EntrypointError as error:
        from .storage import redacted

        sys.stderr.write(f"imagekit: {redacted(str(error))}\n")
        return EXIT_CODES[error.outcome]
    if command.verb in ("help", "version"):
        from . import about

        return about.show(command.verb)
    if command.verb == "wait":
        from .wait import wait

        return wait(command)
    if command.verb in ("fetch", "inputs", "list"):
        from .deliver import deliver

        return deliver(command)
    if any(name.endswith("_STOP") for name in environ):
        from .companions import accompanied

        return accompanied(command, environ, supervise)
    return supervise(command, environ)


def supervise(
    command: Command, environ: Mapping[str, str], at_end: Callable[[], None] | None = None
) -> int:
    parent = os.getpid()
    reader, writer = os.pipe()
    # Where it is ignored, as some launchers leave it, the kernel throws exit codes away.
    signals.set_handler(signals.SIGCHLD, signals.SIG_DFL)
    before = signals.pthread_sigmask(signals.SIG_BLOCK, (*FORWARDED, signals.SIGALRM))
    group = Group()
    limit = command.timeout_seconds
    deadline = _deadline(limit)
    child = os.fork()
    if child == 0:
        os.close(reader)
        group.enter(os.getpid())
        signals.pthread_sigmask(signals.SIG_SETMASK, before)
        if command.verb == "program":
            from .program import replace_process

            return replace_process(command)
        from .run import Parent, execute

        return execute(command, environ, Parent(parent, writer, deadline))
    os.close(writer)
    group.enter(child)
    watch = Watch(child, group, command.grace_seconds)
    if limit is not None:
        watch.limit(limit)
    signals.pthread_sigmask(signals.SIG_SETMASK, before)
    status = watch.wait()
    # Nothing here waits for the interpreter's tidying up, which takes as long as the rest of us.
    code = conclude(command, environ, watch, status, _told(reader))
    if at_end is not None:
        at_end()
    os._exit(code)


def _deadline(limit: float | None) -> float | None:
    """On the clock that runs from here on for both processes."""
    if limit is None:
        return None
    from time import monotonic

    return monotonic() + limit


def conclude(
    command: Command, environ: Mapping[str, str], watch: Watch, status: int, told: int | None
) -> int:
    """The exit code, after the record is there: the task's own, or one made here."""
    if told is not None:
        return told
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if command.verb == "program":
        if watch.timed_out:
            return EXIT_CODES["timeout"]
        return os.WEXITSTATUS(status) if number is None else 128 + number
    from .document import death, interruption, timed_out
    from .publish import publish

    asked = watch.asked_to_stop
    if watch.timed_out and number in (asked, signals.SIGKILL):
        return publish(timed_out(command.timeout_seconds), command, environ)
    if asked is not None and number in (asked, signals.SIGKILL):
        return publish(interruption(asked), command, environ)
    return publish(death(number, os.waitstatus_to_exitcode(status)), command, environ)


def _told(reader: int) -> int | None:
    """The exit code that the task's process reported, once its record was left."""
    os.set_blocking(reader, False)
    try:
        text = os.read(reader, 16)
    except BlockingIOError:
        return None
    return int(text) if text else None


class Group:
    """The task's own process group, which also gets the terminal if there is one.

    Where the terminal can't be handed over (its foreground group is in another PID namespace), the
    task stays in our group, and the terminal's signals reach it without our help.
    """

    __slots__ = ("has_terminal", "is_own")

    def __init__(self) -> None:
        terminal = _foreground_group()
        self.has_terminal = terminal is not None and terminal == os.getpgrp()
        self.is_own = terminal is None or self.has_terminal

    def enter(self, child: int) -> None:
        """Called on both sides of the fork, as neither knows which of them runs first."""
        if not self.is_own:
            return
        try:
            os.setpgid(child, child)
        except OSError:
            return
        self.give_terminal(child)

    def give_terminal(self, group: int) -> None:
        if not self.has_terminal:
            return
        previous = signals.set_handler(signals.SIGTTOU, signals.SIG_IGN)
        try:
            os.tcsetpgrp(0, group)
        except OSError:
            return
        finally:
            signals.set_handler(signals.SIGTTOU, previous or signals.SIG_DFL)

    def kill(self, child: int) -> None:
        try:
            if self.is_own:
                os.killpg(child, signals.SIGKILL)
            else:
                os.kill(child, signals.SIGKILL)
        except OSError:
            return


def _foreground_group() -> int | None:
    if not os.isatty(0):
        return None
    try:
        return os.tcgetpgrp(0)
    except OSError:
        return None


class Watch:
    """Waits for the task, and does in the meantime what signals ask for."""

    def __init__(self, child: int, group: Group, grace_seconds: float) -> None:
        self.child = child
        self.group = group
        self.grace_seconds = grace_seconds
        self.asked_to_stop: int | None = None
        self.timed_out = False
        for number in FORWARDED:
            if signals.getsignal(number) is not signals.SIG_IGN:
                signals.set_handler(number, self._forward)
        signals.set_handler(signals.SIGALRM, self._lose_patience)

    def limit(self, seconds: float) -> None:
        """Send SIGTERM after so long."""
        signals.set_handler(signals.SIGALRM, self._time_out)
        signals.setitimer(signals.ITIMER_REAL, max(seconds, 0.001))

    def wait(self) -> int:
        """The wait status of the task's process. Everything else that ends is an orphan of ours."""
        options = os.WUNTRACED if self.group.has_terminal else 0
        while True:
            ended, status = os.waitpid(-1, options)
            if ended != self.child:
                continue
            if os.WIFSTOPPED(status):
                self._stop_as_well()
                continue
            self.group.give_terminal(os.getpgrp())
            if self.asked_to_stop == signals.SIGTERM and self.group.is_own:
                self.group.kill(self.child)
            return status

    def _forward(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self.group.is_own and number in _FROM_TERMINAL:
            return
        if number not in (signals.SIGUSR1, signals.SIGUSR2) and self.asked_to_stop is None:
            self.asked_to_stop = number
        if number == signals.SIGTERM:
            self.asked_to_stop = number
            signals.set_handler(signals.SIGALRM, self._lose_patience)
            signals.setitimer(signals.ITIMER_REAL, max(self.grace_seconds, 0.001))
        try:
            os.kill(self.child, number)
        except ProcessLookupError:
            return

    def _time_out(self, number: int, frame: FrameType | None) -> None:
        del number
        self.timed_out = True
        self._forward(signals.SIGTERM, frame)

    def _lose_patience(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.group.kill(self.child)

    def _stop_as_well(self) -> None:
        """Ctrl-Z in a shell: our own job stops too, and goes on together with the task."""
        self.group.give_terminal(os.getpgrp())
        os.killpg(os.getpgrp(), signals.SIGTSTP)
        self.group.give_terminal(self.child)
        os.killpg(self.child, signals.SIGCONT)
