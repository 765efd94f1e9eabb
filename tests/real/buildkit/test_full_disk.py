# SPDX-License-Identifier: Apache-2.0
"""A worker whose disk is full: one clear error, with what was written last and what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.buildkit.engine import Engine
from imagekit.buildkit.session import Offer
from imagekit.buildkit.solve import Request, solve
from imagekit.buildkit.status import Event
from imagekit.buildkit.transport import EngineTransport
from imagekit.buildkit.tree import Entry, arranged
from imagekit.errors import BuildError
from tests.fakes.small_engine import small_engine

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.busybox]

DISK_BYTES = 48 << 20
STEP = "echo filling; exec dd if=/dev/zero of=/full bs=65536"


class Events(list[Event]):
    hear = list.append


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with small_engine(DISK_BYTES) as (engine, _):
        yield engine


def failed(engine: Engine, dockerfile: str, *files: Entry) -> BuildError:
    trees = {
        "dockerfile": (Entry.made("Dockerfile", dockerfile.encode()),),
        "context": arranged(files),
    }
    transport = EngineTransport(engine)
    request = Request({"force-network-mode": "none"}, exporter="moby")
    try:
        with pytest.raises(BuildError) as raised:
            solve(transport, request, Offer(trees), Events())
    finally:
        transport.close()
    return raised.value


def test_a_step_that_fills_the_disk(engine: Engine) -> None:
    """Its name, its log, and how to make room."""
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    dockerfile = f'FROM scratch\nCOPY sh /bin/\nRUN ["/bin/sh", "-c", "{STEP}"]\n'
    links = [Entry.link("sh/dd", "sh")]
    error = failed(engine, dockerfile, Entry.made("sh/sh", busybox, 0o755), *links)
    assert "RUN" in error.message
    assert "  | filling" in error.message
    assert "No space left on device" in error.message
    assert "disk space on the worker" in str(error.hint)


def test_a_context_that_fills_the_disk(engine: Engine) -> None:
    """While it is sent."""
    error = failed(engine, "FROM scratch\nCOPY f /\n", Entry.made("f", os.urandom(64 << 20)))
    assert "no space left on device" in error.message
    assert "free space on the worker" in str(error.hint)
    assert "\n" not in error.message
