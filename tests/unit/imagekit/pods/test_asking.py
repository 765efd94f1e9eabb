# SPDX-License-Identifier: Apache-2.0
"""Probes by HTTP and TCP, of servers that answer in every way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from imagekit.pods.asking import Verdict, ask_http, ask_tcp
from imagekit.pods.model import HttpGet, TcpSocket
from tests.fakes.fake_model_server import free_port

HERE = "127.0.0.1"
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@contextlib.asynccontextmanager
async def answering(*answers: bytes | None) -> AsyncIterator[tuple[int, list[str]]]:
    """A server of these answers, one per connection; None keeps silent. Yields what it is sent."""
    heard: list[str] = []
    left = list(answers)

    async def serve(inward: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            heard.append((await inward.readuntil(b"\r\n\r\n")).decode())
            answer = left.pop(0)
            if answer is None:
                await inward.read()
            out.write(answer or b"")
        out.close()

    server = await asyncio.start_server(serve, HERE, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


def ask(path: str, *answers: bytes | None, timeout: float = 20) -> tuple[Verdict, list[str]]:
    async def run() -> tuple[Verdict, list[str]]:
        async with answering(*answers) as (port, heard):
            handler = HttpGet(port, path, headers=(("X-One", "1"), ("Host", "other.example")))
            return await ask_http(handler, HERE, timeout), heard

    return asyncio.run(run())


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nlocation: {location}\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("answer", "passed", "message"),
    [
        (OK, True, ""),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nhalf", True, ""),
        (b"HTTP/1.1 399 Odd\r\n\r\n", True, ""),
        (b"HTTP/1.1 404 None\r\n\r\n", False, "/x: HTTP status 404"),
        (b"HTTP/1.1 503\r\n\r\n", False, "/x: HTTP status 503"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", False, "/x: HTTP status 100"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", False, "/x: the answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\n", False, "/x: the connection ended without an answer"),
        (b"", False, "/x: the connection ended without an answer"),
        (b"a" * 70000, False, "/x: the answer's head does not end"),
    ],
)
def test_the_status_alone_decides(answer: bytes, passed: bool, message: str) -> None:
    """At least 200 and below 400; what is no answer has failed, in words."""
    verdict, _ = ask("/x", answer)
    assert verdict[0] is passed
    assert passed or verdict[1] == message


def test_the_request_is_what_the_probe_says() -> None:
    """Its headers are laid over ours, its path and query are kept."""
    _, (request,) = ask("health?full=1", OK)
    first, *headers = request.split("\r\n")
    assert first == "GET /health?full=1 HTTP/1.1"
    assert {"X-One: 1", "Host: other.example", "Connection: close"} <= set(headers)


def test_redirects_are_followed_on_the_same_host() -> None:
    """Ten of them; one that leads away passes, as nobody there is asked."""
    verdict, heard = ask("/a", redirect("b?c"), OK)
    assert verdict[0]
    assert heard[1].startswith("GET /b?c HTTP/1.1")
    assert ask("/a", redirect("http://elsewhere.example/"))[0] == (True, "")
    assert ask("/a", *[redirect("/a")] * 11)[0] == (False, "/a: more than 10 redirects")


def test_silence_is_no_answer() -> None:
    """After the probe's own time."""
    verdict, _ = ask("/x", None, timeout=0.05)
    assert verdict == (False, "/x: no answer within 0.05 s")


def test_a_port_on_which_nothing_listens_fails_both() -> None:
    """With the system's words."""
    port = free_port()
    http = asyncio.run(ask_http(HttpGet(port), HERE, 20))
    tcp = asyncio.run(ask_tcp(TcpSocket(port), HERE, 20))
    assert (http[0], tcp[0]) == (False, False)
    assert "Connect" in http[1]
    assert tcp[1].startswith(f"tcp port {port}: ")


def test_a_listener_passes_by_tcp() -> None:
    """Whatever it would say; also where the probe names a host of its own."""

    async def run() -> Verdict:
        async with answering(OK) as (port, _):
            return await ask_tcp(TcpSocket(port, HERE), "192.0.2.1", 20)

    assert asyncio.run(run()) == (True, "")
