# SPDX-License-Identifier: Apache-2.0
"""Runs a pod from its document to its end, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from imagekit.engines.container import ContainerEngine
from imagekit.errors import PodError
from imagekit.oci.scratch import live_scratch, scratch_directory
from imagekit.oci.store import Store
from imagekit.paths import cache_directory
from imagekit.pods.documents import Data
from imagekit.pods.doors import asked_ports
from imagekit.pods.environment import (
    MissingError,
    Surroundings,
    problems_of_variables,
    variables_of,
)
from imagekit.pods.expand import expand, unresolved
from imagekit.pods.happenings import Run
from imagekit.pods.images import find_images
from imagekit.pods.logs import Log
from imagekit.pods.model import Container, Mount, Port
from imagekit.pods.options import (
    GPU,
    Creation,
    ImageFacts,
    Seat,
    creation,
    device_problems,
    start_problems,
)
from imagekit.pods.parse import parse_pod
from imagekit.pods.pause import PAUSE
from imagekit.pods.program import Program
from imagekit.pods.runner import Runner, Setup
from imagekit.pods.sandbox import LABEL, Identity, Sandbox, find_pause, home_of, runs_of, sweep
from imagekit.pods.starts import Starts
from imagekit.pods.status import exit_code_of, status_of
from imagekit.pods.volumes import READ_ONLY_KINDS, Bound, Stored, places_of
from imagekit.values import frozen

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NO_GPUS = "none"


@frozen
class Options:
    """What the command line says beside the pod."""

    data: Data = field(default_factory=Data)
    claims: Mapping[str, Path] = field(default_factory=dict)
    """The folder of each persistent volume claim."""
    ports: Sequence[Port] = ()
    network: str | None = None
    """Of the engine's; None makes one for the pod."""
    gpus: str | None = None
    """For the engine's `--gpus`; `none` takes them from the pod, None asks the engine."""
    when_started: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    """By container: called at each of its starts."""


@frozen
class Outcome:
    status: Mapping[str, Any]
    exit_code: int


def play(
    document: Mapping[str, Any],
    source: str,
    engine: ContainerEngine,
    options: Options,
    log: Callable[[list[str]], Log],
    say: Callable[[str], None],
) -> Outcome:
    """Run the pod to its end; SIGINT, SIGTERM and SIGHUP delete it, a second one at once.

    Args:
        document: the pod, as Kubernetes spells it.
        source: where it was read, for errors.
        engine: docker or podman, probed.
        options: what the pod refers to.
        log: makes the log, given the names of the containers.
        say: takes a line for people.

    Raises:
        PodError: it can't be run here; says everything that is in the way.
        EngineError: the engine failed.
    """
    with scratch_directory(cache_directory(engine.environ) / "pods") as folder:
        stage = _Stage(document, source, Program(engine), options, folder, say)
        return asyncio.run(stage.play(log))


class _Stage:
    """One run of a pod; the folder's name is its ID, and its lock says that we live."""

    def __init__(
        self,
        document: Mapping[str, Any],
        source: str,
        program: Program,
        options: Options,
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        self._source = source
        self._program = program
        self._options = options
        self._folder = folder
        self._say = say
        self._pod = parse_pod(document, source, str(uuid.uuid4()))
        identity = Identity(_id_of(folder), home_of(folder.parent))
        self._sandbox = Sandbox(program, self._pod, identity)
        self._images: Mapping[str, ImageFacts] = {}
        self._places: Mapping[str, Bound | Stored] = {}
        self._gpus = ""
        self._cpus = 0

    async def play(self, log: Callable[[list[str]], Log]) -> Outcome:
        program, sandbox = self._program, self._sandbox
        await self._sweep()
        pause = await find_pause(program, self._folder)
        await self._prepare(pause)
        starts = Starts(program, f"{LABEL}={sandbox.identity.id}")
        try:
            await starts.open()
            own = program.engine.own_options()
            ports = (*self._pod.ports, *self._options.ports)
            await sandbox.open(self._places, pause, ports, own, self._options.network)
            await starts.check(sandbox.pause)
            await sandbox.find_address()
            await self._open_doors()
            await sandbox.fill(self._places, self._folders())
            names = [spec.name for spec in self._pod.containers]
            setup = Setup(
                pod=self._pod,
                folder=self._folder,
                sandbox=sandbox,
                starts=starts,
                create=self._create,
                stop_signals=self._stop_signals(),
                when_started=self._options.when_started,
            )
            runner = Runner(program, setup, log(names), self._say)
            return await self._run(runner)
        finally:
            await starts.close()
            await sandbox.close()

    async def _run(self, runner: Runner) -> Outcome:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, runner.delete)
        try:
            await runner.run()
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
        status = status_of(runner.lifecycle, time.time() - time.monotonic())
        return Outcome(status, exit_code_of(runner.lifecycle))

    async def _sweep(self) -> None:
        """Remove what runs of ours left that were killed."""
        identity = self._sandbox.identity
        alive = {_id_of(folder) for folder in live_scratch(self._folder.parent)}
        dead = await runs_of(self._program, identity.home) - alive
        if dead:
            self._say(f"removing what {len(dead)} killed runs left")
            await sweep(self._program, dead)

    async def _prepare(self, pause: ImageFacts) -> None:
        """Find out everything that can be found out before anything is made."""
        pod, options = self._pod, self._options
        around = Surroundings(node=os.uname().nodename)
        self._places, problems = places_of(pod, options.data, options.claims, around)
        problems += problems_of_variables(pod, options.data)
        self._gpus = await self._find_gpus()
        self._cpus = await self._find_cpus()
        problems += device_problems(pod, gpus=bool(self._gpus))
        self._images, missing = await find_images(
            self._program, pod, {PAUSE: pause}, Store(), self._say
        )
        problems += missing
        for container in pod.containers:
            if container.image in self._images:
                found = start_problems(container, self._images[container.image])
                problems += [f"container {container.name!r}: {each}" for each in found]
            problems += self._mount_problems(container)
        if problems:
            raise PodError(self._source, problems)

    async def _find_gpus(self) -> str:
        """What `--gpus` is given for each container that asks; empty for nothing."""
        if self._options.gpus is not None:
            return self._options.gpus
        if not any(GPU in container.limits for container in self._pod.containers):
            return ""
        if not self._program.dialect.knows_runtimes:
            return ""
        runtimes = await self._program.do("info", "--format", "{{json .Runtimes}}")
        return "all" if '"nvidia"' in runtimes else ""

    async def _find_cpus(self) -> int:
        """An engine refuses a limit above what the machine has; a kubelet does not."""
        return int(await self._program.do("info", "--format", self._program.dialect.cpus))

    def _mount_problems(self, container: Container) -> Iterator[str]:
        variables = self._variables(container)
        for mount in container.mounts:
            path = mount.sub_path or mount.sub_path_expression
            if path.startswith("/") or ".." in path.split("/"):
                yield f"container {container.name!r}: subPath {path!r} leads out of its volume"
            for name in unresolved(mount.sub_path_expression, variables):
                yield f"container {container.name!r}: subPathExpr needs {name}, which is not set"

    def _variables(self, container: Container) -> Mapping[str, str]:
        address = self._sandbox.address
        around = Surroundings(os.uname().nodename, address, "127.0.0.1")
        try:
            return variables_of(container, self._pod, self._options.data, around)
        except MissingError:
            return {}

    async def _create(self, container: Container, run: Run) -> Creation:
        sandbox, variables = self._sandbox, self._variables(container)
        groups = [*self._pod.groups]
        if self._pod.fs_group is not None:
            groups.append(self._pod.fs_group)
        seat = Seat(
            name=sandbox.identity.of_run(run),
            pause=sandbox.pause,
            host_name="" if self._shares_host_name() else self._pod.hostname,
            labels=sandbox.identity.labels,
            image=self._images[container.image],
            variables=variables,
            sources={m.path: self._source_of(m, variables) for m in container.mounts},
            message_file=await sandbox.new_message_file(run),
            cpus=self._cpus,
            gpus="" if self._gpus == _NO_GPUS else self._gpus,
            own_options=self._program.engine.own_options(),
            more_groups=groups,
            read_only=frozenset(m.path for m in container.mounts if self._is_read_only(m)),
        )
        return creation(container, self._pod, seat)

    def _shares_host_name(self) -> bool:
        return self._pod.host_network or self._program.dialect.shares_host_name

    def _is_read_only(self, mount: Mount) -> bool:
        volume = self._pod.volumes[mount.volume]
        return (
            mount.read_only or volume.kind in READ_ONLY_KINDS or bool(volume.source.get("readOnly"))
        )

    def _source_of(self, mount: Mount, variables: Mapping[str, str]) -> str:
        path = mount.sub_path or expand(mount.sub_path_expression, variables)
        place = self._places[mount.volume]
        if isinstance(place, Stored):
            return self._sandbox.source(mount.volume, path)
        inner = place.path / path if path else place.path
        if not inner.exists():
            inner.mkdir(parents=True)
        return str(inner.resolve())

    def _folders(self) -> Mapping[str, Sequence[str]]:
        """The sub-paths that are no files of their volumes, so that there is a folder to mount."""
        found: dict[str, list[str]] = {}
        for container in self._pod.containers:
            variables = self._variables(container)
            for mount in container.mounts:
                place = self._places[mount.volume]
                path = mount.sub_path or expand(mount.sub_path_expression, variables)
                if not path or isinstance(place, Bound) or place.image is not None:
                    continue
                if path not in {file.path for file in place.files}:
                    found.setdefault(mount.volume, []).append(path)
        return found

    def _stop_signals(self) -> Mapping[str, str]:
        return {
            spec.name: spec.stop_signal or self._images[spec.image].stop_signal or "SIGTERM"
            for spec in self._pod.containers
        }

    async def _open_doors(self) -> None:
        """Probes and hooks have a way into the pod."""
        ports = asked_ports(self._pod) - {0}
        if ports and not await self._sandbox.is_reached():
            self._say("the pod's network can't be reached from here: probes use published ports")
            await self._sandbox.open_doors(sorted(ports))
            await self._sandbox.find_address()


def _id_of(folder: Path) -> str:
    return folder.name.rpartition("-")[2]
