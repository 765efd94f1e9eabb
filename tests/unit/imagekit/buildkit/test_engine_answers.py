# SPDX-License-Identifier: Apache-2.0
"""What answers at an engine's socket and is of no use: too old, silent, or no engine at all."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from imagekit.buildkit.endpoint import Endpoint
from imagekit.buildkit.engine import Engine
from imagekit.buildkit.transport import EngineTransport
from imagekit.errors import EngineError

OLD = "HTTP/1.1 200 OK\r\nApi-Version: 1.24\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK"
NONE = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
OTHER = "HTTP/1.1 200 OK\r\nServer: nginx\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"


@contextlib.contextmanager
def answering(folder: Path, answers: Mapping[str, str]) -> Iterator[Engine]:
    """An engine that answers those paths so, and others never."""
    opened: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = listener.accept()
                opened.append(caller)
                path = caller.recv(1 << 16).split(b" ")[1].decode()
                if path in answers:
                    caller.sendall(answers[path].encode())
                    caller.close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "engine"))
        listener.listen()
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield Engine(Endpoint(f"unix://{folder}/engine"))
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for each in opened:
                each.close()


def test_one_without_buildkit_is_told_with_the_version_that_has_it(tmp_path: Path) -> None:
    """It answers, and knows no path `/grpc`."""
    with answering(tmp_path, {"/_ping": OLD, "/grpc": NONE}) as engine:
        assert engine.api_version() == (1, 24)
        with pytest.raises(EngineError, match="has no /grpc: 404 Not Found") as raised:
            EngineTransport(engine)
    assert raised.value.hint == "builds need Docker Engine 18.09 or later"


def test_one_that_falls_silent_is_waited_for_so_long(tmp_path: Path) -> None:
    """After it had answered before."""
    with answering(tmp_path, {"/_ping": OLD}) as engine:
        engine.api_version()
        with pytest.raises(EngineError, match="for /grpc: timed out"):
            engine.hijack("/grpc", {}, seconds=0.2)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("hello", "'hello' is no HTTP"),
        ("", "'' is no HTTP"),
        ("HTTP/1.1 200 OK\r\n\r\n{", "no JSON"),
        ("HTTP/1.1 200 OK\r\n\r\n[]", "no object"),
        ('HTTP/1.1 500 X\r\n\r\n{"message": "too bad"}', "the Docker Engine refuses: too bad"),
    ],
)
def test_an_answer_that_can_not_be_used_is_said(tmp_path: Path, answer: str, message: str) -> None:
    """In one line, whatever it is."""
    wanted = pytest.raises(EngineError, match=message)
    with answering(tmp_path, {"/images/x/json": answer}) as engine, wanted:
        engine.find("x")


def test_what_is_no_engine_is_said(tmp_path: Path) -> None:
    """Any other server at that address."""
    wanted = pytest.raises(EngineError, match=r"unix://.* is no Docker Engine")
    with answering(tmp_path, {"/_ping": OTHER}) as engine, wanted as raised:
        engine.api_version()
    assert "DOCKER_HOST" in str(raised.value.hint)
