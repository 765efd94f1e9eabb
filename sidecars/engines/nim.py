# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's NIM: an image per model, told everything by its environment."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError
from ..references import as_path, has_reference
from ..sidecar import SecretKey, Server, Sidecar
from .variables import variables

CACHE = "/opt/nim/.cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class NIM:
    """`model` is the name that the image serves; `served_name` gives it another."""

    ngc_api_key: SecretKey | None = None
    hf_token: SecretKey | None = None
    model_path: str | None = None
    """Where a NIM that takes any model finds it: hf://, ngc://, modelscope://, or a path."""
    profile: str | None = None
    max_model_len: int | None = None
    passthrough: tuple[str, ...] = ()
    """Arguments for the engine inside."""
    peft_source: str | None = None
    """A folder of adapters, DIR/NAME/adapter_config.json, in one of the sidecar's volumes."""
    peft_refresh_seconds: int | None = None
    air_gapped: bool = False
    """Everything is in the store, or comes by the sidecar's `files`: NIM fetches nothing."""
    health_port: int | None = None
    """Health on a port of its own; by default on that of the API."""
    log_level: str | None = None

    @property
    def kind(self) -> str:
        return "nim"

    @property
    def default_port(self) -> int:
        return 8000

    @property
    def default_image(self) -> str | None:
        return None

    def serve(self, sidecar: Sidecar) -> Server:
        if sidecar.api_key:
            raise OptionError(["api_key: NIM asks its clients for none"])
        if problems := list(self._problems(sidecar)):
            raise OptionError(problems)
        return Server(
            environment=tuple(self._environment(sidecar)),
            store_path=CACHE,
            health_path="/v1/health/ready",
            live_path="/v1/health/live",
            health_port=self.health_port,
            shm="16Gi",
            user=1000,
            group=2000,
        )

    def _problems(self, sidecar: Sidecar) -> Iterator[str]:
        if self.air_gapped and sidecar.store is None and sidecar.files is None:
            yield "air_gapped needs a store or files: an empty store has no model"
        if self.model_path and sidecar.files:
            yield "model_path: the model comes by the sidecar's files"
        if self.peft_source and sidecar.adapters:
            yield "peft_source: the adapters come by the sidecar's adapters"
        if self.health_port == sidecar.server_port:
            yield f"health_port {self.health_port} is the port of the API: leave it out"
        asked = [self.model_path, self.peft_source]
        if has_reference(asked) and sidecar.inputs is None:
            yield "it names a task's input, and the sidecar has no `inputs`"

    def _places(self, sidecar: Sidecar) -> tuple[str | None, str | None]:
        """Of the model and the adapters, where they are not NIM's own affair."""
        model = as_path(self.model_path) if self.model_path else None
        adapters = as_path(self.peft_source) if self.peft_source else None
        if sidecar.files is not None:
            model = f"{CACHE}/{sidecar.folder(sidecar.files)}"
        if sidecar.adapters:
            adapters = f"{CACHE}/{sidecar.adapters_folder}"
        return model, adapters

    def _environment(self, sidecar: Sidecar) -> Iterator[dict[str, Any]]:
        port = str(sidecar.server_port)
        model, adapters = self._places(sidecar)
        values = {
            "NIM_SERVER_PORT": port,
            "NIM_HTTP_API_PORT": port,  # its name in 1.x
            "NIM_HEALTH_PORT": _text(self.health_port),
            "NIM_CACHE_PATH": CACHE,
            "NIM_SERVED_MODEL_NAME": sidecar.client_name if sidecar.files else sidecar.served_name,
            "NIM_MODEL_PATH": model,
            "NIM_MODEL_PROFILE": self.profile,
            "NIM_MAX_MODEL_LEN": _text(self.max_model_len),
            "NIM_PASSTHROUGH_ARGS": shlex.join(self.passthrough) or None,
            "NIM_PEFT_SOURCE": adapters,
            "NIM_PEFT_REFRESH_INTERVAL": _text(self.peft_refresh_seconds),
            "NIM_DISABLE_MODEL_DOWNLOAD": "1" if self.air_gapped else None,
            "NIM_LOG_LEVEL": self.log_level,
        }
        yield from variables({name: value for name, value in values.items() if value is not None})
        if self.ngc_api_key:
            yield self.ngc_api_key.variable("NGC_API_KEY")
        if self.hf_token:
            yield self.hf_token.variable("HF_TOKEN")


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
