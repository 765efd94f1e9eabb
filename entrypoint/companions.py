# SPDX-License-Identifier: Apache-2.0
"""Model servers that are ordinary containers of the pod, where a cluster has no native sidecars.

Nobody there starts the task after them, or stops them after the task: it is done here. The pod says
which there are by SIDECAR_NAME_STOP, the file that stops one, and SIDECAR_NAME_DEADLINE, how many
seconds it has to start. Waiting is the command of another package that lies beside this one.
"""

from __future__ import annotations

import os
import sys

from . import signals
from .errors import EntrypointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType

    from .contract import Command

PREFIX, STOP, DEADLINE = "SIDECAR_", "_STOP", "_DEADLINE"
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1));"
    "from sidecars.__main__ import main; sys.exit(main(sys.argv[1:]))"
)


def named(environ: Mapping[str, str]) -> dict[str, str]:
    """The file that stops each server, by the server's name in variables."""
    return {
        variable[len(PREFIX) : -len(STOP)]: path
        for variable, path in environ.items()
        if variable.startswith(PREFIX) and variable.endswith(STOP)
    }


def accompanied(
    command: Command,
    environ: Mapping[str, str],
    perform: Callable[[Command, Mapping[str, str], Callable[[], None]], int],
) -> int:
    """Wait for the servers, perform the command, stop the servers, however it ended."""
    stops = named(environ)
    try:
        for name in stops:
            _wait_for(name, environ)
    except (EntrypointError, _StoppedError) as error:
        from . import document
        from .publish import publish

        stop_all(stops.values())
        if isinstance(error, _StoppedError):
            return publish(document.interruption(error.number), command, environ)
        return publish(document.runtime_failure(error), command, environ)
    return perform(command, environ, lambda: stop_all(stops.values()))


def stop_all(paths: Iterable[str]) -> None:
    for path in paths:
        try:
            with open(path, "w"):
                pass
        except OSError as error:
            sys.stderr.write(f"imagekit: stopping a sidecar by {path}: {error}\n")


class _StoppedError(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _wait_for(name: str, environ: Mapping[str, str]) -> None:
    from subprocess import PIPE, Popen

    place = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    words = ["wait", "--name", name.lower().replace("_", "-")]
    words += ["--deadline", environ.get(f"{PREFIX}{name}{DEADLINE}", "1800")]
    process = Popen([sys.executable, "-I", "-c", _START, place, *words], stderr=PIPE)

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        process.kill()
        raise _StoppedError(number)

    before = {each: signals.set_handler(each, stop) for each in (signals.SIGTERM, signals.SIGINT)}
    last = b""
    if process.stderr is not None:
        for line in process.stderr:
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
            last = line
    status = process.wait()
    for each, handler in before.items():
        signals.set_handler(each, handler or signals.SIG_DFL)
    if status:
        raise EntrypointError(last.decode(errors="replace").strip() or f"waiting ended: {status}")
