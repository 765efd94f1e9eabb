# SPDX-License-Identifier: Apache-2.0
"""Which ports probes ask from outside, and how they ask through a published one."""

from __future__ import annotations

import asyncio
import contextlib

from imagekit.pods.asking import Verdict, ask_tcp
from imagekit.pods.doors import asked_ports, through
from imagekit.pods.model import Container, Exec, HttpGet, Pod, Probe, Sleep, TcpSocket
from tests.fakes.fake_model_server import free_port

HERE = "127.0.0.1"


def test_every_probe_and_hook_of_the_pods_address_counts() -> None:
    """Those that name another host do not, nor do those without a network."""
    server = Container(
        "s",
        "i",
        probes={"startup": Probe(HttpGet(1)), "liveness": Probe(TcpSocket(2))},
        pre_stop=HttpGet(3),
    )
    task = Container(
        "t",
        "i",
        probes={"readiness": Probe(HttpGet(4, host="h")), "liveness": Probe(Exec(("a",)))},
        post_start=HttpGet(1),
        pre_stop=Sleep(1),
    )
    assert asked_ports(Pod("p", (server,), (task,))) == {1, 2, 3}


def test_a_door_takes_the_place_of_its_port() -> None:
    """All else of the handler stays; what has no door is asked as before."""
    doors = {80: 32000}
    assert through(HttpGet(80, "/x", scheme="HTTPS"), doors) == HttpGet(
        32000, "/x", HERE, scheme="HTTPS"
    )
    for handler in (HttpGet(80, host="h"), TcpSocket(81), Exec(("a",)), Sleep(1)):
        assert through(handler, doors) == handler


def test_a_proxy_before_nothing_does_not_pass() -> None:
    """It accepts, finds that nobody listens behind it, and ends the connection."""

    async def run(*, behind: bool) -> Verdict:
        """A proxy as engines have them, before a server that waits for its client's first word."""
        port, opened = free_port(), []

        async def wait(_: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
            opened.append(out)

        async def proxy(_: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
            opened.append(out)
            try:
                opened.append((await asyncio.open_connection(HERE, port))[1])
            except ConnectionRefusedError:
                out.close()

        async with contextlib.AsyncExitStack() as stack:
            if behind:
                await stack.enter_async_context(await asyncio.start_server(wait, HERE, port))
            server = await stack.enter_async_context(await asyncio.start_server(proxy, HERE, 0))
            door = server.sockets[0].getsockname()[1]
            verdict = await ask_tcp(TcpSocket(door), HERE, 20, proxied=True)
            for out in opened:
                out.close()
                await out.wait_closed()
        return verdict

    assert asyncio.run(run(behind=True)) == (True, "")
    passed, message = asyncio.run(run(behind=False))
    assert not passed
    assert message.endswith("the connection was ended at once")
