# SPDX-License-Identifier: Apache-2.0
"""The calls of BuildKit's service Control, over grpcio and our own codec."""

from __future__ import annotations

import functools
from typing import Any

import grpc

from imagekit.buildkit.protobuf import decode, encode

_CONTROL = "/moby.buildkit.v1.Control/"
_BRIDGE = "/moby.buildkit.v1.frontend.LLBBridge/"


def solve(channel: grpc.Channel) -> Any:
    return channel.unary_unary(_CONTROL + "Solve", *codecs("SolveRequest", "SolveResponse"))


def status(channel: grpc.Channel) -> Any:
    return channel.unary_stream(_CONTROL + "Status", *codecs("StatusRequest", "StatusResponse"))


def session(channel: grpc.Channel) -> Any:
    return channel.stream_stream(_CONTROL + "Session", *codecs("BytesMessage", "BytesMessage"))


def list_workers(channel: grpc.Channel) -> Any:
    names = codecs("ListWorkersRequest", "ListWorkersResponse")
    return channel.unary_unary(_CONTROL + "ListWorkers", *names)


def bridge_solve(channel: grpc.Channel) -> Any:
    names = codecs("BridgeSolveRequest", "BridgeSolveResponse")
    return channel.unary_unary(_BRIDGE + "Solve", *names)


def bridge_return(channel: grpc.Channel) -> Any:
    return channel.unary_unary(_BRIDGE + "Return", *codecs("ReturnRequest", "ReturnResponse"))


def codecs(sent: str, received: str) -> tuple[Any, Any]:
    """What writes messages of the one kind, and reads those of the other."""
    return functools.partial(encode, sent), functools.partial(decode, received)
