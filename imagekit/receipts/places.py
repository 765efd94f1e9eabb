# SPDX-License-Identifier: Apache-2.0
"""Whether images are still where they were brought. What can't be found out is no."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

_REFERENCE = "org.opencontainers.image.ref.name"
_TIMEOUT_SECONDS = 5
_CONNECTIONS = 8
_LIMIT_BYTES = 4 << 20


def all_hold(places: Sequence[Any]) -> bool:
    """Whether each of `places`, as `keep` describes them, holds its image.

    Raises OSError or ValueError where that can't be found out.
    """
    layouts = [place for place in places if place["kind"] == "layout"]
    engines = [place for place in places if place["kind"] == "engine"]
    registries = [place for place in places if place["kind"] == "registry"]
    here = all(map(_in_layout, layouts)) and all(map(_in_engine, engines))
    return here and (not registries or _in_registries(registries))


def _in_layout(place: Any) -> bool:
    """Its index names the image, and each of its blobs is there in its size."""
    folder = place["folder"]
    with open(os.path.join(folder, "index.json"), "rb") as stream:
        index = json.loads(stream.read(_LIMIT_BYTES))
    named = [
        each["digest"]
        for each in index["manifests"]
        if each.get("annotations", {}).get(_REFERENCE) == place["name"]
    ]
    if named != [place["digest"]]:
        return False
    blobs = os.path.join(folder, "blobs", "sha256")
    sizes = place["blobs"].items()
    return all(os.stat(os.path.join(blobs, name)).st_size == size for name, size in sizes)


def _in_engine(place: Any) -> bool:
    """The engine's image of that name is the one that was built."""
    import socket  # noqa: PLC0415 - others need none

    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_TIMEOUT_SECONDS)
        connection.connect(place["socket"])
        # HTTP/1.0: the answer comes in one piece, and ends with the connection.
        connection.sendall(f"GET {place['path']} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        with connection.makefile("rb") as stream:
            head, _, body = stream.read(_LIMIT_BYTES).partition(b"\r\n\r\n")
    return head.split()[1:2] == [b"200"] and json.loads(body)["Id"] == place["id"]


def _in_registries(places: Sequence[Any]) -> bool:
    """The registries say that each tag is its image.

    Those of this machine are asked in plain HTTP at first, without credentials. What that does not
    answer is asked by our own client.
    """
    left = []
    for place in places:
        status, digest = _asked(place) if place["plain"] else (0, "")
        if status not in (200, 404):
            left.append(place)
        elif status == 404 or digest != place["digest"]:
            return False
    return not left or _in_guarded(left)


def _asked(place: Any) -> tuple[int, str]:
    """Status and digest of what plain HTTP says of a manifest."""
    import http.client  # noqa: PLC0415 - the local store needs none

    connection = http.client.HTTPConnection(place["host"], timeout=_TIMEOUT_SECONDS)
    headers = {"Accept": place["accept"], "User-Agent": "imagekit"}
    try:
        connection.request("HEAD", place["path"], headers=headers)
        answer = connection.getresponse()
    except http.client.HTTPException as error:
        raise OSError("no answer") from error
    finally:
        connection.close()
    return answer.status, answer.getheader("Docker-Content-Digest", "")


def _in_guarded(places: Sequence[Any]) -> bool:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - most need no client

    from imagekit.errors import ImagekitError  # noqa: PLC0415
    from imagekit.registry.client import RegistryClient  # noqa: PLC0415
    from imagekit.registry.reference import RegistryReference  # noqa: PLC0415

    client = RegistryClient()
    try:
        references = [RegistryReference.parse(place["reference"]) for place in places]
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            found = list(pool.map(client.manifest_digest, references))
    except ImagekitError:
        return False
    finally:
        client.close()
    return found == [place["digest"] for place in places]
