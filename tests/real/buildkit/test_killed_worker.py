# SPDX-License-Identifier: Apache-2.0
"""A worker that is killed in the middle of a build: one clear error, at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.buildkit.session import Offer
from imagekit.buildkit.solve import Request, solve
from imagekit.buildkit.status import Event, StepOutput
from imagekit.buildkit.transport import EngineTransport
from imagekit.buildkit.tree import Entry, arranged
from imagekit.errors import BuildError
from tests.fakes.small_engine import small_engine

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.busybox]

DISK_BYTES = 64 << 20
DOCKERFILE = b"""\
FROM scratch
COPY sh /bin/
RUN ["/bin/sh", "-c", "echo well under way; exec sleep 600"]
"""


class Killing:
    """Kills the worker as soon as the step says that it is at work."""

    def __init__(self, kill: Callable[[], None]) -> None:
        self._kill = kill

    def hear(self, event: Event) -> None:
        if isinstance(event, StepOutput) and b"under way" in event.text:
            self._kill()


def test_the_error_names_the_step_and_its_log() -> None:
    """And what to do; nothing of gRPC, nothing of a traceback."""
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    trees = {
        "dockerfile": (Entry.made("Dockerfile", DOCKERFILE),),
        "context": arranged([Entry.made("sh/sh", busybox, 0o755), Entry.link("sh/sleep", "sh")]),
    }
    request = Request({"force-network-mode": "none"}, exporter="moby")
    with small_engine(DISK_BYTES) as (engine, kill):
        transport = EngineTransport(engine)
        with pytest.raises(BuildError) as raised:
            solve(transport, request, Offer(trees), Killing(kill))
        transport.close()
    first, *log = raised.value.message.splitlines()
    assert first.startswith("building on docker: the connection to the worker was lost during ")
    assert "RUN" in first
    assert log == ["  | well under way"]
    assert raised.value.hint == "it died, was restarted or can't be reached; build again"
