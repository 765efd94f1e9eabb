# SPDX-License-Identifier: Apache-2.0
"""Ollama: the server starts empty, and a step of our own runtime has it pull or make the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError
from ..sidecar import Server, Sidecar
from .modelfile import translate
from .variables import variables

STORE = "/model-store"
CREATE = "OLLAMA_CREATE"
"""The variable of the fetching step that holds the fields of `POST /api/create` as JSON."""
_FIELDS = ("from", "template", "system", "parameters", "messages", "license", "quantize")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ollama:
    """`model` is pulled; with `create` or `modelfile` it is made of another one under that name."""

    create: Mapping[str, Any] | None = None
    """Fields of `POST /api/create`: from, template, system, parameters, messages, license."""
    modelfile: str | None = None
    keep_alive: str = "-1"
    """How long an idle model stays loaded; by default as long as the server runs."""

    @property
    def kind(self) -> str:
        return "ollama"

    @property
    def default_port(self) -> int:
        return 11434

    @property
    def default_image(self) -> str | None:
        return "ollama/ollama:0.18.2"

    def serve(self, sidecar: Sidecar) -> Server:
        fields = self._fields()
        if sidecar.served_name:
            raise OptionError(["served_name: Ollama serves a model by its own name"])
        if sidecar.api_key:
            raise OptionError(["api_key: Ollama asks its clients for none"])
        if sidecar.gate == "probe" and (fields or sidecar.store is None):
            raise OptionError(
                ["gate='probe' has no step that could pull: the model has to be in a store"]
            )
        return Server(
            environment=variables(
                {
                    "OLLAMA_HOST": f"0.0.0.0:{sidecar.server_port}",
                    "OLLAMA_MODELS": STORE,
                    "OLLAMA_KEEP_ALIVE": self.keep_alive,
                }
            ),
            store_path=STORE,
            health_path="/api/version",
            live_path="/api/version",
            startup_command=("ollama", "show", sidecar.model),
            fetches=True,
            fetch_environment=variables(
                {CREATE: json.dumps(fields, sort_keys=True)} if fields else {}
            ),
        )

    def _fields(self) -> dict[str, Any]:
        if self.create is not None and self.modelfile is not None:
            raise OptionError(["create and modelfile say the same thing: give one of them"])
        fields = translate(self.modelfile) if self.modelfile else dict(self.create or {})
        if wrong := sorted(set(fields) - set(_FIELDS)):
            raise OptionError(
                [f"create: {name!r} is none of {', '.join(_FIELDS)}" for name in wrong]
            )
        if fields and "from" not in fields:
            raise OptionError(["create: `from` names the model that it starts with"])
        return fields
