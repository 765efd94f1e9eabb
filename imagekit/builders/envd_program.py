# SPDX-License-Identifier: Apache-2.0
"""The envd program: found, asked for its version, and run with a home of its own.

envd keeps contexts, keys and telemetry in the user's home. Ours is a folder that goes with the
build, so that the user's current context stays what it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, final

from imagekit.builders.envd_output import Output
from imagekit.buildkit.endpoint import Endpoint
from imagekit.buildkit.status import Listener
from imagekit.errors import BuildError
from imagekit.interrupts import terminable, told_of_interrupts
from imagekit.values import frozen

_INSTALL = "`pip install envd` brings it"
_LEAST = (1, 0)
_ANSWER_SECONDS = 60.0
_END_SECONDS = 15.0
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.\d+")
_PASSED = ("PATH", "TMPDIR", "LANG", "LC_ALL")


def find_envd(environ: Mapping[str, str]) -> str:
    """The program, on PATH or beside the running Python.

    Raises BuildError where there is none.
    """
    beside = str(Path(sys.executable).parent)
    program = shutil.which("envd", path=environ.get("PATH")) or shutil.which("envd", path=beside)
    if program is None:
        raise BuildError("there is no program envd", hint=_INSTALL)
    return program


def _said(
    command: Sequence[str], environ: Mapping[str, str], seconds: float = _ANSWER_SECONDS
) -> str:
    try:
        done = subprocess.run(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{command[0]} does not answer: {' '.join(command[1:])}") from error
    except OSError as error:
        raise BuildError(f"starting {command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)} failed: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


@final
@frozen
class Envd:
    """envd, with `home` for its own."""

    program: str
    home: Path
    variables: Mapping[str, str]

    @classmethod
    def open(
        cls,
        program: str,
        home: Path,
        environ: Mapping[str, str],
        engine: Endpoint | None,
        *,
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> Envd:
        """Make it ready to build; `home` is empty, and `engine` the one that it may use.

        Raises BuildError where it is too old, or does not answer in `answer_seconds`.
        """
        variables = {name: environ[name] for name in _PASSED if name in environ}
        variables |= {"HOME": str(home), "ENVD_ANALYTICS": "false"}
        if engine is not None:
            variables |= _engine_variables(engine, home)
        _refuse_old(program, _said([program, "version", "--short"], variables, answer_seconds))
        return cls(program, home, variables)

    def trust_plain_http(self, host: str) -> None:
        """Let it ask a registry without a certificate: containers-registries.conf(5)."""
        folder = self.home / ".config/containers"
        folder.mkdir(parents=True, exist_ok=True)
        text = f'[[registry]]\nlocation = "{host}"\ninsecure = true\n'
        (folder / "registries.conf").write_text(text, "utf-8")

    def use(self, builder: str, address: str = "") -> None:
        """Make the context that builds use, in our home alone."""
        command = [self.program, "context", "create", "--name=imagekit", f"--builder={builder}"]
        if address:
            command.append(f"--builder-address={address}")
        _said([*command, "--use"], self.variables)

    def build(self, folder: Path, arguments: Sequence[str], listener: Listener) -> None:
        """Build `folder`, and tell `listener` all that is printed while it is printed.

        Raises BuildError with the end of what was printed.
        """
        command = [self.program, "build", f"--path={folder}", *arguments]
        output = Output(listener)
        try:
            process = subprocess.Popen(
                command,
                env=dict(self.variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise BuildError(f"starting {self.program}: {error.strerror}") from error
        with process, terminable(), _ended(process), told_of_interrupts(process.terminate):
            readers = [
                threading.Thread(target=_read, args=(stream, output.hear), daemon=True)
                for stream in (process.stdout, process.stderr)
            ]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            code = process.wait()
        output.close()
        if code != 0:
            raise output.explained(code)


def _read(stream: IO[bytes] | None, hear: Callable[[bytes], None]) -> None:
    for line in stream or ():
        hear(line)


def _refuse_old(program: str, said: str) -> None:
    found = _VERSION.search(said)
    if found is None:
        raise BuildError(f"{program} does not say its version: {said.strip()[:200]!r}")
    if (int(found[1]), int(found[2])) < _LEAST:
        wanted = ".".join(map(str, _LEAST))
        raise BuildError(
            f"{program} is envd {found[0]}, and {wanted} or later is needed", hint=_INSTALL
        )


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever ends the block ends the program, and so its build on the worker."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _engine_variables(engine: Endpoint, home: Path) -> dict[str, str]:
    """Envd knows the variables of Docker, and no Docker contexts."""
    found = {"DOCKER_HOST": engine.url}
    certificates = engine.certificates
    if certificates is None:
        return found
    folder = home / "certificates"
    folder.mkdir()
    files = {
        "ca.pem": certificates.authority,
        "cert.pem": certificates.certificate,
        "key.pem": certificates.key,
    }
    for name, path in files.items():
        if path is not None:
            os.symlink(path.absolute(), folder / name)
    found["DOCKER_CERT_PATH"] = str(folder)
    return found | ({"DOCKER_TLS_VERIFY": "1"} if certificates.verify else {})
