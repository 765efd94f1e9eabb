# SPDX-License-Identifier: Apache-2.0
"""Probes of a pod whose network can't be reached from here, through published ports.

That is so where the engine runs in a virtual machine, as on macOS, or without root. Each port that
is asked is published on 127.0.0.1, at a number that the engine chooses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from imagekit.pods.model import Handler, HttpGet, Pod, TcpSocket

_HERE = "127.0.0.1"


def asked_ports(pod: Pod) -> set[int]:
    """The ports of the pod's own address that its probes and hooks ask from outside."""
    return {
        handler.port
        for handler in _handlers(pod)
        if isinstance(handler, HttpGet | TcpSocket) and handler.host is None
    }


def _handlers(pod: Pod) -> Iterator[Handler | None]:
    for spec in pod.containers:
        yield from (probe.handler for probe in spec.probes.values())
        yield from (spec.post_start, spec.pre_stop)


def through(handler: Handler, doors: Mapping[int, int]) -> Handler:
    """The handler that asks a door instead, if its port has one."""
    match handler:
        case HttpGet() | TcpSocket() if handler.host is None and handler.port in doors:
            return replace(handler, host=_HERE, port=doors[handler.port])
        case _:
            return handler
