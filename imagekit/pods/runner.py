# SPDX-License-Identifier: Apache-2.0
"""Does what the lifecycle asks for, and tells it what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from imagekit.errors import EngineError
from imagekit.pods.asking import Verdict, ask_http, ask_tcp
from imagekit.pods.doors import through
from imagekit.pods.expand import expand
from imagekit.pods.happenings import (
    Action,
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
from imagekit.pods.logs import Log, follow
from imagekit.pods.model import Container, Exec, Handler, HttpGet, Pod, Sleep, TcpSocket
from imagekit.pods.options import Creation
from imagekit.pods.program import Answer, Program
from imagekit.pods.sandbox import Sandbox
from imagekit.pods.starts import Starts
from imagekit.values import frozen

_LONGEST_MESSAGE_BYTES = 4096
_LAST_LINES = 10
_OOM = "oom"
"""The file by which conmon tells that memory ran out; not all of Podman's versions read it."""

_OOM_QUESTIONS = 3
_OOM_SECONDS = 0.1
_KILLED = 137


@frozen
class Setup:
    """Everything that was found out before the first container starts."""

    pod: Pod
    folder: Path
    """Where the engine's program is started."""
    sandbox: Sandbox
    starts: Starts
    create: Callable[[Container, Run], Awaitable[Creation]]
    stop_signals: Mapping[str, str]
    """By container: what its image or its lifecycle says."""
    when_started: Mapping[str, Callable[[], None]]

    @property
    def specs(self) -> Mapping[str, Container]:
        return {spec.name: spec for spec in self.pod.containers}


@frozen
class EngineState:
    """What the engine says of a container."""

    ran: bool
    code: int
    out_of_memory: bool


class Runner:
    """Runs one pod on one engine, once."""

    def __init__(
        self, program: Program, setup: Setup, log: Log, say: Callable[[str], None]
    ) -> None:
        self.lifecycle = Lifecycle(setup.pod)
        self._program = program
        self._setup = setup
        self._log = log
        self._say = say
        self._events: asyncio.Queue[Event | BaseException] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._deleted = False

    def delete(self) -> None:
        """The pod is to go; called again, at once."""
        if not self._deleted:
            grace = self._setup.pod.grace
            self._say(f"stopping it, within {grace} s; a second Ctrl-C or SIGTERM kills it at once")
        self._deleted = True
        self._events.put_nowait(Deleted())

    async def run(self) -> None:
        """To the pod's end. Raises EngineError where the engine fails us."""
        try:
            await self._drive()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drive(self) -> None:
        lifecycle = self.lifecycle
        actions = lifecycle.begin(time.monotonic())
        while True:
            for action in actions:
                self._perform(action)
            if lifecycle.finished:
                return
            event = await self._next(lifecycle.due_at())
            if isinstance(event, BaseException):
                raise event
            actions = lifecycle.handle(event, time.monotonic())

    async def _next(self, due_at: float | None) -> Event | BaseException:
        if due_at is None:
            return await self._events.get()
        try:
            left = max(0.0, due_at - time.monotonic())
            return await asyncio.wait_for(self._events.get(), left)
        except asyncio.TimeoutError:
            return TimePassed()

    def _perform(self, action: Action) -> None:
        match action:
            case Start():
                self._do(self._start(action.run))
            case AskProbe():
                self._do(self._probe(action))
            case RunHook():
                self._do(self._hook(action))
            case Signal():
                self._do(self._signal(action))
            case Note():
                self._note(action)
            case Finish():
                pass

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        """In the background; what goes wrong there ends the run."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._settle)

    def _settle(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._events.put_nowait(error)

    def _note(self, note: Note) -> None:
        who = "" if note.container is None else f"{note.container}: "
        self._say(who + note.text)
        if note.lines and note.container is not None:
            for line in self._log.tail(note.container, _LAST_LINES):
                self._say(f"  {note.container} said: {line}")

    # Containers

    async def _start(self, run: Run) -> None:
        spec = self._setup.specs[run.container]
        self._log.begin(spec.name)
        made = await self._setup.create(spec, run)
        answer = await self._program.ask("create", *made.arguments, environ=made.environ)
        if answer.code:
            self._events.put_nowait(StartFailed(run, answer.last_line))
            return
        name = self._name(run)
        folder = self._setup.folder / name
        folder.mkdir()
        process = await self._program.start("start", "--attach", name, folder=folder)
        try:
            await self._accompany(run, spec, process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await self._program.ask("rm", "--force", "--volumes", name)

    async def _accompany(
        self, run: Run, spec: Container, process: asyncio.subprocess.Process
    ) -> None:
        """From its start to its end, with all that it says."""
        name, out, errors = self._name(run), process.stdout, process.stderr
        if out is None or errors is None:
            raise EngineError(f"{self._program.name} start: no output to read")
        told = asyncio.create_task(self._setup.starts.of(name).wait())
        saying = asyncio.create_task(follow(out, spec.name, self._log))
        await asyncio.wait((told, saying), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not self._setup.starts.of(name).is_set() and not (await self._state(name)).ran:
            # What the program says is the engine's then, not the container's.
            message = Answer(1, b"", await errors.read()).first_line
            self._events.put_nowait(StartFailed(run, message))
            return
        self._events.put_nowait(Started(run))
        if spec.name in self._setup.when_started:
            self._setup.when_started[spec.name]()
        await asyncio.gather(saying, follow(errors, spec.name, self._log))
        await process.wait()
        state = await self._end_state(name)
        message = await self._setup.sandbox.message(run, _LONGEST_MESSAGE_BYTES)
        if not message and state.code and spec.message_from_log:
            message = self._log.message(spec.name)
        self._events.put_nowait(Exited(run, state.code, message, state.out_of_memory))

    async def _end_state(self, name: str) -> EngineState:
        """As `_state`; an engine may hear of the memory after it heard of the end."""
        state = await self._state(name)
        for _ in range(_OOM_QUESTIONS):
            if state.code != _KILLED or state.out_of_memory:
                break
            await asyncio.sleep(_OOM_SECONDS)
            state = await self._state(name)
        return state

    async def _state(self, name: str) -> EngineState:
        found = (await self._program.inspect("container", [name]))[0]["State"]
        return EngineState(
            ran=not found["StartedAt"].startswith("0001-"),
            code=found["ExitCode"],
            out_of_memory=found["OOMKilled"] or (self._setup.folder / name / _OOM).exists(),
        )

    def _name(self, run: Run) -> str:
        return self._setup.sandbox.identity.of_run(run)

    async def _signal(self, signal: Signal) -> None:
        """It may have ended in the meantime, so no answer is an error."""
        name = self._setup.stop_signals[signal.run.container] if signal.name == "TERM" else "KILL"
        await self._program.ask("kill", "--signal", name, self._name(signal.run))

    async def _probe(self, asked: AskProbe) -> None:
        spec = self._setup.specs[asked.run.container]
        probe = spec.probes[asked.kind]
        handler = probe.handler
        if isinstance(handler, Exec):
            fixed = {each["name"]: each.get("value") or "" for each in spec.environment}
            handler = Exec(tuple(expand(word, fixed) for word in handler.command))
        passed, message = await self._handle(handler, asked.run, probe.timeout)
        self._events.put_nowait(Probed(asked.run, asked.kind, passed, message))

    async def _hook(self, action: RunHook) -> None:
        spec = self._setup.specs[action.run.container]
        handler = spec.post_start if action.moment == "postStart" else spec.pre_stop
        if handler is None:
            raise ValueError(f"{spec.name} has no {action.moment} hook")
        passed, message = await self._handle(handler, action.run, None)
        self._events.put_nowait(HookEnded(action.run, action.moment, passed, message))

    async def _handle(self, handler: Handler, run: Run, timeout: float | None) -> Verdict:
        address, doors = self._setup.sandbox.address, self._setup.sandbox.doors
        handler = through(handler, doors)
        match handler:
            case Exec():
                return await self._exec(handler, run, timeout)
            case HttpGet():
                return await ask_http(handler, address, timeout)
            case TcpSocket():
                return await ask_tcp(handler, address, timeout, proxied=bool(doors))
            case Sleep():
                await asyncio.sleep(handler.seconds)
                return True, ""

    async def _exec(self, handler: Exec, run: Run, timeout: float | None) -> Verdict:
        """Out of time, we stop waiting; engines have no way to stop the command."""
        asking = self._program.ask("exec", self._name(run), *handler.command)
        try:
            answer = await asyncio.wait_for(asking, timeout)
        except asyncio.TimeoutError:
            return False, f"{handler.command[0]}: no end within {timeout:g} s"
        return answer.code == 0, f"{handler.command[0]}: {answer.last_line}"
