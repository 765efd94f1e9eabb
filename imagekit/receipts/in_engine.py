# SPDX-License-Identifier: Apache-2.0
"""Images that the docker builder leaves in the engine, as places that receipts speak of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from imagekit.builders.model import Built
from imagekit.buildkit.endpoint import find_endpoint
from imagekit.buildkit.engine import Engine

_UNIX = "unix://"


def engine_place(built: Built, environ: Mapping[str, str] = os.environ) -> dict[str, Any] | None:
    """How the image is looked up; None for an engine elsewhere, or one that has another by now.

    Raises EngineError where it does not answer.
    """
    endpoint = find_endpoint(environ)
    name = f"{built.reference}:{built.tag}"
    found = Engine(endpoint).find(name)
    if not endpoint.url.startswith(_UNIX) or found is None or found.get("Id") != built.image_id:
        return None
    return {
        "kind": "engine",
        "socket": endpoint.url.removeprefix(_UNIX),
        "path": f"/images/{quote(name, safe='/:@')}/json",
        "id": built.image_id,
    }
