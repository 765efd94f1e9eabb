# SPDX-License-Identifier: Apache-2.0
"""SIGTERM while inputs are being fetched, and while outputs are being stored."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from entrypoint.errors import RECOVERABLE, SYSTEM
from tests.house.project import ROOT
from tests.unit.entrypoint.workdir import Workdir

TASK = f"""
import sys
sys.path.append({str(ROOT)!r})
from imagekit import File

def makes(x: int) -> File:
    open("made", "w").close()
    return File("made")
"""


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


@pytest.mark.parametrize("option", ["--inputs", "--raw-output-data-prefix"])
def test_a_document_is_left_and_nothing_else(
    workdir: Workdir, silent: socket.socket, option: str
) -> None:
    """The signal comes once the request has; the grace period ends what can't be broken off."""
    workdir.module("tasks", TASK)
    workdir.inputs({"x": 1})
    words = workdir.execute_words("tasks:makes", "--grace", "0.5")
    address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
    words[words.index("--") : words.index("--")] = [option, address]
    with workdir.start(*words) as process:
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(3) in (b"GET", b"PUT")
            process.terminate()
            assert process.wait(timeout=30) == 143
    error = workdir.error()
    assert (error["code"], error["kind"]) == ("SYSTEM:Interrupted", RECOVERABLE)
    assert error["origin"] == SYSTEM
    assert [path.name for path in workdir.prefix.iterdir()] == ["error.pb"]
