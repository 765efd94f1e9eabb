# SPDX-License-Identifier: Apache-2.0
"""A build whose result is an image that the worker has, with other settings and no layer more.

The client is itself the frontend: it gives the result, by the service LLBBridge, that a Dockerfile
would have led to.
"""

from __future__ import annotations

from typing import Any

import grpc

from imagekit.buildkit import rpc
from imagekit.buildkit.protobuf import encode
from imagekit.oci.descriptor import Platform
from imagekit.oci.digest import of_bytes
from imagekit.values import frozen

_BUILD = "buildkit-controlapi-buildid"
_CONFIG = "containerimage.config"


@frozen
class Given:
    """`name` is written whole, with host and tag; `config` is the image's new one, as JSON."""

    name: str
    platform: Platform
    config: bytes


def give(channel: grpc.Channel, build: str, given: Given) -> None:
    """Answer for the frontend of `build`, which was begun without one.

    Raises grpc.RpcError: the worker doesn't have the image, or can't be reached.
    """
    metadata = ((_BUILD, build),)
    asked = {
        "Definition": _as_it_is(given),
        "allowResultReturn": True,
        "allowResultArrayRef": True,
    }
    found = rpc.bridge_solve(channel)(asked, metadata=metadata).get("result", {})
    result = {**found, "metadata": {_CONFIG: given.config}}
    rpc.bridge_return(channel)({"result": result}, metadata=metadata)


def _as_it_is(given: Given) -> dict[str, Any]:
    """A worker that has the image does not ask its registry."""
    source = {
        "identifier": f"docker-image://{given.name}",
        "attrs": {"image.resolvemode": "local"},
    }
    platform = {
        "Architecture": given.platform.architecture,
        "OS": given.platform.os,
        "Variant": given.platform.variant,
    }
    encoded = encode("Op", {"source": source, "platform": platform})
    result = encode("Op", {"inputs": [{"digest": of_bytes(encoded), "index": 0}]})
    return {"def": [encoded, result]}
