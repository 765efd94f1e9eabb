# SPDX-License-Identifier: Apache-2.0
"""Ollama: the server starts empty, and a step of our own runtime has it pull or make the model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError
from ..references import FOLDER, as_path, encoded, has_reference
from ..sidecar import Server, Sidecar
from .modelfile import translate
from .variables import variables

STORE = "/model-store"
CREATE = "OLLAMA_CREATE"
"""The variable of the fetching step that holds the fields of `POST /api/create` as JSON."""
_FIELDS = (
    *("from", "files", "adapters", "template", "system"),
    *("parameters", "messages", "license", "quantize"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ollama:
    """`model` is pulled; with `create` or `modelfile` it is made of another one under that name."""

    create: Mapping[str, Any] | None = None
    """Fields of `POST /api/create`, such as from, template, system, parameters, messages.

    `files` (GGUF, or a folder of safetensors) and `adapters` are lists of paths in the sidecar's
    volumes; the step uploads them. Texts may name a task's inputs as `{{.inputs.NAME}}`.
    """
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
        return "ollama/ollama:0.40.2"

    def serve(self, sidecar: Sidecar) -> Server:
        fields = self._fields(sidecar)
        if sidecar.served_name:
            raise OptionError(["served_name: Ollama serves a model by its own name"])
        if sidecar.api_key:
            raise OptionError(["api_key: Ollama asks its clients for none"])
        has_step = sidecar.native and sidecar.gate != "probe"
        if not has_step and (fields or sidecar.store is None):
            what = "gate='probe'" if sidecar.native else "native=False"
            raise OptionError(
                [f"{what} has no step that could pull: the model has to be in a store"]
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
            copies=True,
            fetches=True,
            fetch_environment=variables(
                {CREATE: json.dumps(encoded(fields), sort_keys=True)} if fields else {}
            ),
            stops_by=("ollama", "serve"),
        )

    def _fields(self, sidecar: Sidecar) -> dict[str, Any]:
        """The fields with the paths of what was brought; none where the model is only pulled."""
        if self.create is not None and self.modelfile is not None:
            raise OptionError(["create and modelfile say the same thing: give one of them"])
        has_files = sidecar.files is not None
        fields = (
            translate(self.modelfile, has_files=has_files)
            if self.modelfile
            else dict(self.create or {})
        )
        if sidecar.files is not None:
            fields.setdefault("files", [f"{STORE}/{sidecar.folder(sidecar.files)}"])
        if sidecar.adapters:
            brought = [f"{STORE}/{sidecar.adapters_folder}/{name}" for name in sidecar.adapters]
            fields["adapters"] = [*fields.get("adapters", ()), *brought]
        problems = list(_field_problems(fields, sidecar)) if fields else []
        if problems:
            raise OptionError([f"create: {problem}" for problem in problems])
        for key in ("files", "adapters"):
            if key in fields:
                fields[key] = [as_path(path) for path in fields[key]]
        return fields


def _field_problems(fields: Mapping[str, Any], sidecar: Sidecar) -> Iterator[str]:
    for name in sorted(set(fields) - set(_FIELDS)):
        yield f"{name!r} is none of {', '.join(_FIELDS)}"
    if ("from" in fields) == ("files" in fields):
        yield "either `from` names the model that it starts with, or `files` its files"
    if has_reference(fields) and sidecar.inputs is None:
        yield "it names a task's input, and the sidecar has no `inputs`"
    places = tuple(f"{place.rstrip('/')}/" for place in (*sidecar.volumes, STORE, FOLDER))
    for key in ("files", "adapters"):
        paths = fields.get(key, ())
        if isinstance(paths, str) or not all(isinstance(path, str) for path in paths):
            yield f"{key} is a list of paths"
            continue
        for path in map(as_path, paths):
            if not f"{path}/".startswith(places):
                yield f"{key}: {path} is in no volume of the sidecar"
