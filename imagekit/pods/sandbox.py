# SPDX-License-Identifier: Apache-2.0
"""What a pod's containers share: a network, volumes, and the container that holds them.

The order matters: volumes in memory live as long as a running container mounts them, so they are
filled once that one runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import platform
import tarfile
from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from imagekit.errors import EngineError
from imagekit.pods.happenings import Run
from imagekit.pods.model import Pod, Port
from imagekit.pods.options import ImageFacts
from imagekit.pods.pause import PROGRAM, pause_image
from imagekit.pods.program import Program
from imagekit.pods.volumes import Bound, Stored, add_file, archive
from imagekit.values import frozen

LABEL = "imagekit-pod"
HOME_LABEL = "imagekit-pod-home"
_VOLUMES = "volumes"
_MESSAGES = "messages"
_UNUSED_PORT = 1
_REACH_SECONDS = 2.0


@frozen
class Identity:
    """Names and labels of everything that one run of a pod makes."""

    id: str
    home: str
    """Whose runs this one may clean up after: those of this user's cache on this machine."""

    @property
    def labels(self) -> dict[str, str]:
        return {LABEL: self.id, HOME_LABEL: self.home}

    @property
    def label_options(self) -> list[str]:
        return [
            word for name, value in self.labels.items() for word in ("--label", f"{name}={value}")
        ]

    def name(self, *parts: object) -> str:
        return "-".join(["imagekit", self.id, *map(str, parts)])

    def of_run(self, run: Run) -> str:
        return self.name("c", run.container, run.attempt)


def home_of(cache: Path) -> str:
    text = f"{platform.node()} {os.getuid()} {cache.resolve()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Sandbox:
    """Made by `open`, gone after `close`, which may be called whatever became of `open`."""

    def __init__(self, program: Program, pod: Pod, identity: Identity) -> None:
        self._program = program
        self._pod = pod
        self.identity = identity
        self.address = ""
        self._is_hidden = False
        self.doors: dict[int, int] = {}
        """Ports of this machine, by those of the pod that probes reach through them alone."""
        self._making: tuple[str, ...] = ()
        self._mountpoints: dict[str, str] = {}

    @property
    def pause(self) -> str:
        return self.identity.name("pause")

    async def open(
        self,
        places: Mapping[str, Bound | Stored],
        pause: ImageFacts,
        ports: Sequence[Port],
        own_options: Sequence[str],
        network: str | None,
    ) -> None:
        """Make all of it, but for the files of the volumes: those come by `fill`."""
        stored = {name: place for name, place in places.items() if isinstance(place, Stored)}
        made: list[Awaitable[object]] = [
            self._make_volume(name, place) for name, place in stored.items()
        ]
        chosen = "host" if self._pod.host_network else network
        if chosen is None:
            chosen = self.identity.name("net")
            made.append(self._program.do("network", "create", *self.identity.label_options, chosen))
        made.append(self._make_volume("", Stored(memory=True)))
        await asyncio.gather(*made)
        names = {name: self._volume(name) for name in ("", *stored)}
        self._making = (
            *("--name", self.pause, "--pull", "never", "--log-driver", "none"),
            *("--ipc", "shareable", "--network", chosen, *own_options),
            *self.identity.label_options,
            *self._own_network(ports),
            *(w for name, volume in names.items() for w in ("--volume", f"{volume}:{_at(name)}")),
            pause.id,
        )
        await self._start_pause()
        found = await self._program.inspect("volume", list(names.values()))
        mountpoints = [volume["Mountpoint"] for volume in found]
        self._mountpoints = dict(zip(names, mountpoints, strict=True))

    async def _start_pause(self, *options: str) -> None:
        await self._program.do("create", *options, *self._making)
        await self._program.do("start", self.pause)

    async def find_address(self) -> None:
        """Learn the pod's address. A network that tells none has its own loopback alone for us."""
        (pause,) = await self._program.inspect("container", [self.pause])
        # Podman has no networks where slirp4netns or pasta is the way out.
        networks = pause["NetworkSettings"].get("Networks") or {}
        found = list(filter(None, (each.get("IPAddress") for each in networks.values())))
        self._is_hidden = not found and pause["HostConfig"]["NetworkMode"] != "host"
        self.address = found[0] if found else "127.0.0.1"

    async def is_reached(self) -> bool:
        """Whether this machine reaches the pod's network: it refuses a port that nobody has."""
        if self._is_hidden:
            return False
        connecting = asyncio.open_connection(self.address, _UNUSED_PORT)
        try:
            _, out = await asyncio.wait_for(connecting, _REACH_SECONDS)
        except ConnectionRefusedError:
            return True
        except (OSError, asyncio.TimeoutError):
            return False
        out.close()
        return True

    async def open_doors(self, ports: Collection[int]) -> None:
        """Have `ports` published at any free ports of this machine, by which probes come in.

        The holding container is made once more, as nothing can be published of one that runs.
        """
        await self._program.do(*self._program.dialect.remove_containers, self.pause)
        wanted = [word for port in ports for word in ("--publish", f"127.0.0.1::{port}")]
        await self._start_pause(*wanted)
        (pause,) = await self._program.inspect("container", [self.pause])
        published = pause["NetworkSettings"]["Ports"] or {}
        if not all(published.get(f"{port}/tcp") for port in ports):
            raise EngineError(
                "probes can't come into the pod's network: it can't be reached from here,"
                " and the engine publishes no ports of it",
                hint="choose another --network",
            )
        self.doors = {port: int(published[f"{port}/tcp"][0]["HostPort"]) for port in ports}

    async def fill(
        self, places: Mapping[str, Bound | Stored], folders: Mapping[str, Sequence[str]]
    ) -> None:
        """Write the volumes' files, their owners, folders for sub-paths and messages."""
        if any(isinstance(place, Stored) for place in places.values()):
            # Podman takes no tar without members.
            await self._copy_in(archive(places, _VOLUMES, self._pod.fs_group))
        for name, place in places.items():
            if isinstance(place, Stored) and place.image is not None:
                await self._copy_image(name, place.image)
        extra = io.BytesIO()
        with tarfile.open(fileobj=extra, mode="w") as tar:
            for name, paths in folders.items():
                for path in sorted(set(paths)):
                    _add_folder(tar, f"{_VOLUMES}/{name}/{path}", self._pod.fs_group)
            for container in self._pod.containers:
                add_file(tar, f"{_MESSAGES}/{container.name}-0", b"", 0o666)
        await self._copy_in(extra.getvalue())

    async def new_message_file(self, run: Run) -> str:
        """Where a run leaves its termination message, as the engine's machine sees it."""
        if run.attempt:
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as tar:
                add_file(tar, f"{_MESSAGES}/{run.container}-{run.attempt}", b"", 0o666)
            await self._copy_in(buffer.getvalue())
        return f"{self._mountpoints['']}/{run.container}-{run.attempt}"

    async def message(self, run: Run, limit_bytes: int) -> str:
        path = f"{self.pause}:/{_MESSAGES}/{run.container}-{run.attempt}"
        answer = await self._program.ask("cp", path, "-")
        if answer.code:
            return ""
        with tarfile.open(fileobj=io.BytesIO(answer.out)) as tar:
            member = tar.next()
            stream = None if member is None else tar.extractfile(member)
            return "" if stream is None else stream.read(limit_bytes).decode(errors="replace")

    def source(self, volume: str, sub_path: str = "") -> str:
        """Where a volume of the engine's lies on the engine's machine."""
        return "/".join(filter(None, (self._mountpoints[volume], sub_path)))

    async def close(self) -> None:
        await sweep(self._program, {self.identity.id})

    async def _make_volume(self, name: str, place: Stored) -> None:
        options = []
        if place.memory:
            text = f"mode={place.mode:o}"
            if place.size_bytes is not None:
                text += f",{self._program.dialect.tmpfs_size(place.size_bytes)}"
            options = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", f"o={text}"]
        await self._program.do(
            "volume", "create", *self.identity.label_options, *options, self._volume(name)
        )

    def _volume(self, name: str) -> str:
        """The empty name is the one of the messages."""
        return self.identity.name("v", name) if name else self.identity.name(_MESSAGES)

    def _own_network(self, ports: Sequence[Port]) -> Iterator[str]:
        if self._pod.host_network:
            return
        yield from ("--hostname", self._pod.hostname)
        for host, address in self._pod.host_aliases:
            yield from ("--add-host", f"{host}:{address}")
        for port in ports:
            where = f"{port.address}:{port.host}:{port.container}/{port.protocol}"
            yield from ("--publish", where)

    async def _copy_in(self, data: bytes) -> None:
        await self._program.do(*self._program.dialect.copy, "-", f"{self.pause}:/", data=data)

    async def _copy_image(self, volume: str, image: str) -> None:
        """An image's files, by a container that never runs."""
        name = self.identity.name("i", volume)
        options = ("--name", name, "--pull", "never", *self.identity.label_options)
        await self._program.do("create", *options, image, f"/{PROGRAM}")
        answer = await self._program.ask("cp", f"{name}:/", "-")
        if answer.code:
            raise EngineError(f"reading image {image}: {answer.last_line}")
        copy = self._program.dialect.copy
        await self._program.do(*copy, "-", f"{self.pause}:{_at(volume)}", data=answer.out)


async def find_pause(program: Program, folder: Path) -> ImageFacts:
    """The pause image, which is loaded unless the engine has it."""
    said = await program.do("version", "--format", program.dialect.architecture)
    architecture = said.rpartition("/")[2]
    image = pause_image(architecture, folder)
    known = await asyncio.to_thread(program.engine.have, image)
    return ImageFacts(known, entrypoint=(f"/{PROGRAM}",))


async def sweep(program: Program, ids: set[str]) -> None:
    """Remove everything that these runs have made, and that is still there."""
    kinds = (
        (("ps", "--all"), program.dialect.remove_containers),
        (("volume", "ls"), program.dialect.remove_volumes),
        (("network", "ls"), ("network", "rm")),
    )
    for listing, removing in kinds:
        for each in sorted(ids):
            found = await program.do(*listing, "--quiet", "--filter", f"label={LABEL}={each}")
            if names := found.split():
                await program.ask(*removing, *names)


async def runs_of(program: Program, home: str) -> set[str]:
    """The runs of this home that something is left of."""
    own = ("--filter", f"label={HOME_LABEL}={home}", "--format")
    found = await asyncio.gather(
        program.do("ps", "--all", *own, "{{.Names}}"),
        program.do("volume", "ls", *own, "{{.Name}}"),
        program.do("network", "ls", *own, "{{.Name}}"),
    )
    return {name.split("-")[1] for text in found for name in text.split()}


def _at(volume: str) -> str:
    """Where the pause container has it."""
    return f"/{_VOLUMES}/{volume}" if volume else f"/{_MESSAGES}"


def _add_folder(tar: tarfile.TarFile, path: str, group: int | None) -> None:
    info = tarfile.TarInfo(path)
    info.type, info.gid = tarfile.DIRTYPE, group or 0
    info.mode = 0o777 if group is None else 0o2777
    tar.addfile(info)
