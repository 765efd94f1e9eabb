# SPDX-License-Identifier: Apache-2.0
"""The kinds of servers: one module each, found by name when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from ..sidecar import Engine

ENGINES: Mapping[str, str] = {
    "vllm": "vllm:VLLM",
    "ollama": "ollama:Ollama",
    "nim": "nim:NIM",
    "openai": "openai:OpenAI",
}
"""Name -> module of this package and class."""


def engine_class(kind: str) -> Callable[..., Engine]:
    """The class of that kind; raises KeyError for one that is not in the table."""
    module, _, name = ENGINES[kind].partition(":")
    found: Callable[..., Engine] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return found
