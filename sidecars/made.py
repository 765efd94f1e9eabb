# SPDX-License-Identifier: Apache-2.0
"""Knowing a model that Ollama has made before: by a second name of it, which tells of what.

A store may outlive the pod, and making a model anew takes minutes. Ollama does not say of a model
what it was made of, but `POST /api/copy` gives one manifest two names, and `/api/tags` the digest
of each name's manifest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from .asking import FAILURES, Server
from .dialects import tagged

_LONGEST_NAME = 60


def mark_of(model: str, fields: Mapping[str, Any], base: str | None) -> str:
    """The second name, of a model that is made of these fields, and of a model of digest `base`."""
    text = json.dumps([fields, base], sort_keys=True)
    return f"{_family(model)}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def is_made(model: str, mark: str, tags: Mapping[str, str]) -> bool:
    """Whether both names are of one manifest; `tags` has the digest of each full name."""
    found = tags.get(tagged(model))
    return bool(found) and found == tags.get(mark)


def note(
    server: Server,
    model: str,
    mark: str,
    tags: Mapping[str, str],
    until: float,
    say: Callable[..., None],
) -> None:
    """Give the model its second name, and take away those that it had before.

    Without one it is made again next time, so nothing is raised.
    """
    try:
        data = {"source": model, "destination": mark}
        answer = server.ask("POST", "/api/copy", data, until=until)
        if answer.status != 200:
            say(f"{model} will be made again: /api/copy answers {answer.status}")
        for name in tags:
            if name.startswith(f"{_family(model)}:") and name != mark:
                server.ask("DELETE", "/api/delete", {"model": name}, until=until)
    except FAILURES as error:
        say(f"{model} will be made again: {error}")


def _family(model: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", tagged(model).lower()).strip("-")
    return f"imagekit-{name[-_LONGEST_NAME:].strip('-')}"
