# SPDX-License-Identifier: Apache-2.0
"""Docker and Podman, by their command lines.

The programs and not the engine's API: they know the user's contexts, TLS, terminals and signals,
and the two share one vocabulary.
"""

from __future__ import annotations

import abc
import os
import resource
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

from imagekit.engines.model import Mount, Request
from imagekit.engines.process import exit_code, forwarding, own_terminal
from imagekit.errors import EngineError
from imagekit.oci.archive import stream_docker_archive
from imagekit.oci.digest import hexadecimal
from imagekit.oci.image import Image
from imagekit.oci.scratch import scratch_directory
from imagekit.paths import cache_directory

_PROBE_SECONDS = 30.0
_REPOSITORY = "localhost/imagekit/run"
_ENGINE_FAILED = 125
"""The exit code of both programs when they could not start the container."""
_NO_PROGRAM = 127
_IDS = 1 << 16
"""How many user IDs an image may use."""


class ContainerEngine(abc.ABC):
    """What the two programs have in common."""

    program: ClassVar[str]

    def __init__(self, environ: Mapping[str, str], probe_seconds: float = _PROBE_SECONDS) -> None:
        self.environ = environ
        self._probe_seconds = probe_seconds

    def probe(self) -> str | None:
        if shutil.which(self.program, path=self.environ.get("PATH")) is None:
            return f"no program {self.program!r} on PATH"
        try:
            return self.try_out()
        except subprocess.TimeoutExpired:
            return f"no answer within {self._probe_seconds:g} seconds"
        except OSError as error:
            return f"starting {self.program}: {error.strerror}"

    @abc.abstractmethod
    def try_out(self) -> str | None:
        """What keeps the engine from running an image, or None."""

    def own_options(self) -> Sequence[str]:
        """What `run` needs with this program alone."""
        return ()

    def run(self, request: Request) -> int:
        name = self.have(request.image)
        with scratch_directory(cache_directory(self.environ) / "runs") as work:
            container = work / "container"
            keyboard = not own_terminal()
            arguments = [*self._options(request, container), name, *request.arguments]
            with (
                # A terminal's keys reach our group; elsewhere the program is to hear of them once.
                subprocess.Popen(
                    [self.program, "run", *arguments],
                    env=dict(self.environ),
                    start_new_session=keyboard,
                ) as process,
                forwarding(process, keyboard=keyboard),
            ):
                code = exit_code(process.wait())
            if code == _ENGINE_FAILED and not _exists(container):
                raise EngineError(f"{self.program} could not start the container; it said why")
        return code

    def _options(self, request: Request, container: Path) -> Iterator[str]:
        yield from ("--rm", "--interactive", "--cidfile", str(container))
        # Else SELinux keeps the container away from the folders that are mounted.
        yield from ("--security-opt", "label=disable", *self.own_options())
        if own_terminal() and os.isatty(1):
            yield "--tty"
        for mount in request.mounts:
            yield from ("--mount", mount_option(mount))
        for variable, value in request.environment.items():
            yield from ("--env", f"{variable}={value}")
        if request.workdir is not None:
            yield from ("--workdir", request.workdir)

    def have(self, image: Image) -> str:
        """What the engine calls `image`, which is loaded unless it is there.

        The name is for engines whose image IDs are not the digests of configs.
        """
        name = f"{_REPOSITORY}:{hexadecimal(image.config_digest)}"
        for known in (image.config_digest, name):
            if not self.call("image", "inspect", "--format", "{{.Id}}", known).returncode:
                return known
        self.load(image, name)
        return name

    def load(self, image: Image, name: str) -> None:
        with subprocess.Popen(
            [self.program, "load"],
            env=dict(self.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            said: list[bytes] = []
            errors = cast("BinaryIO", process.stderr)
            listener = threading.Thread(target=lambda: said.append(errors.read()))
            listener.start()
            try:
                with cast("BinaryIO", process.stdin) as stream:
                    stream_docker_archive(image, stream, [name])
            except BrokenPipeError:
                pass
            finally:
                listener.join()
        if process.returncode:
            raise EngineError(f"{self.program} load: {_last_line(b''.join(said))}")

    def save(self, name: str, path: Path) -> None:
        """Write what the engine keeps under `name` to `path`, as a Docker archive.

        Raises EngineError where it has no such image.
        """
        with path.open("wb") as stream:
            answer = subprocess.run(
                [self.program, "save", name],
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.PIPE,
                check=False,
            )
        if answer.returncode:
            raise EngineError(f"{self.program} save {name}: {_last_line(answer.stderr)}")

    def call(
        self, *arguments: str, timeout_seconds: float | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self.program, *arguments],
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=timeout_seconds,
        )


class Docker(ContainerEngine):
    program = "docker"

    def try_out(self) -> str | None:
        answer = self.call(
            "version", "--format", "{{.Server.Version}}", timeout_seconds=self._probe_seconds
        )
        return None if _says_something(answer) else _last_line(answer.stderr)


class Podman(ContainerEngine):
    program = "podman"

    def own_options(self) -> Sequence[str]:
        """Limits that it may set: its own defaults are higher than many a machine allows."""
        _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
        _, processes = resource.getrlimit(resource.RLIMIT_NPROC)
        highest = int(Path("/proc/sys/kernel/pid_max").read_text())
        # Podman lowers its own limit to the highest process ID, and can't give more than it has.
        processes = highest if processes == resource.RLIM_INFINITY else min(processes, highest)
        limits = (f"nofile={files}:{files}", f"nproc={processes}:{processes}")
        return [word for limit in limits for word in ("--ulimit", limit)]

    def try_out(self) -> str | None:
        """Without a daemon it answers questions where it can run nothing, so it has to run."""
        if os.geteuid() != 0 and (reason := self._too_few_ids()) is not None:
            return reason
        return self._try_to_run_nothing()

    def _too_few_ids(self) -> str | None:
        spans = "ok {{range .Host.IDMappings.UIDMap}}{{.Size}} {{end}}"
        answer = self.call("info", "--format", spans, timeout_seconds=self._probe_seconds)
        if not _says_something(answer):
            return _last_line(answer.stderr)
        if sum(map(int, answer.stdout.split()[1:])) < _IDS:
            return "no subordinate user IDs for this user in /etc/subuid and /etc/subgid"
        return None

    def _try_to_run_nothing(self) -> str | None:
        with tempfile.TemporaryDirectory() as empty:
            options = ("--rm", "--network=none", *self.own_options(), "--rootfs", empty)
            answer = self.call("run", *options, "/nothing", timeout_seconds=self._probe_seconds)
        # It got as far as looking for the program.
        return None if answer.returncode == _NO_PROGRAM else _last_line(answer.stderr)


def _says_something(answer: subprocess.CompletedProcess[bytes]) -> bool:
    return answer.returncode == 0 and bool(answer.stdout.strip())


def mount_option(mount: Mount) -> str:
    return bind_option(str(mount.source.resolve()), mount.target, read_only=mount.read_only)


def bind_option(source: str, target: str, *, read_only: bool) -> str:
    """One line of CSV, which is what both programs read; `source` as the engine sees it."""
    fields = ["type=bind", f"source={source}", f"target={target}"]
    if read_only:
        fields.append("readonly")
    return ",".join(_quoted(field) for field in fields)


def _quoted(field: str) -> str:
    if not set(field) & set('",\r\n'):
        return field
    return '"' + field.replace('"', '""') + '"'


def _exists(container: Path) -> bool:
    """Whether the engine wrote the new container's ID."""
    return container.exists() and container.stat().st_size > 0


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it failed and did not say why"
