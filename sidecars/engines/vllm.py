# SPDX-License-Identifier: Apache-2.0
"""vLLM's OpenAI server, on GPUs or on the CPU."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import OptionError
from ..quantity import format_bytes, parse_quantity
from ..sidecar import SecretKey, Server, Sidecar
from .variables import literal, variables

Argument = str | int | float | bool | Sequence[str | int] | Mapping[str, Any] | None

STORE = "/model-store"
_OURS = {
    "port": "port",
    "host": "nothing: the kubelet asks the pod's address",
    "model": "model",
    "served_model_name": "served_name",
    "api_key": "api_key",
    "lora_modules": "loras",
    "enable_lora": "loras or lora_directory",
}
"""Arguments that a field of the sidecar drives; the task would not learn of them otherwise."""
_SHM_BYTES_PER_GPU = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class VLLM:
    """`model` is a name on the hub, a path in a volume or the image, or an object store's URL.

    Arguments are typed: True is `--flag`, False is `--no-flag`, a sequence several words, a mapping
    JSON, and None is left out.
    """

    arguments: Mapping[str, Argument] = field(default_factory=dict)
    hf_token: SecretKey | None = None
    loras: Mapping[str, str] = field(default_factory=dict)
    """Adapters by name: a path, or a name on the hub."""
    lora_directory: str | None = None
    """A folder of adapters, DIR/NAME/adapter_config.json, loaded when a request names one."""
    kv_cache_gib: int = 4
    """Space for the key-value cache when there is no GPU, a part of `memory`."""

    @property
    def kind(self) -> str:
        return "vllm"

    @property
    def default_port(self) -> int:
        return 8000

    @property
    def default_image(self) -> str | None:
        return "vllm/vllm-openai:v0.18.0"

    def serve(self, sidecar: Sidecar) -> Server:
        if problems := list(self._problems(sidecar)):
            raise OptionError(problems)
        downloads = not sidecar.model.startswith("/") and "://" not in sidecar.model
        return Server(
            command=("python3", "-m", "vllm.entrypoints.openai.api_server"),
            args=tuple(map(literal, self._words(sidecar))),
            environment=tuple(self._environment(sidecar)),
            store_path=STORE if downloads or sidecar.store else None,
            shm=format_bytes(max(1, sidecar.gpu) * _SHM_BYTES_PER_GPU),
        )

    def _problems(self, sidecar: Sidecar) -> Iterator[str]:
        for name in self.arguments:
            key = name.lstrip("-").replace("-", "_").removeprefix("no_")
            if key in _OURS:
                yield f"arguments: {name} is driven by {_OURS[key]}"
        if "image" in (sidecar.store or {}) and not sidecar.model.startswith("/"):
            yield f"store is an image, which is read-only: model has to be a path in {STORE}"
        if sidecar.gpu == 0 and sidecar.weights:
            needed = parse_quantity(sidecar.weights) + self.kv_cache_gib * 1024**3
            if needed > parse_quantity(sidecar.memory):
                yield (
                    f"without a GPU weights and cache need {format_bytes(needed)} of memory,"
                    f" and memory is {sidecar.memory}"
                )

    def _words(self, sidecar: Sidecar) -> Iterator[str]:
        ours: dict[str, Argument] = {
            "model": sidecar.model,
            "served_model_name": sidecar.served_name,
            "host": "0.0.0.0",  # noqa: S104 - the kubelet probes the pod's address
            "port": sidecar.server_port,
        }
        if self.loras or self.lora_directory:
            ours["enable_lora"] = True
        if self.loras:
            ours["lora_modules"] = [f"{name}={path}" for name, path in self.loras.items()]
        given = {name.lstrip("-").replace("-", "_"): each for name, each in self.arguments.items()}
        if sidecar.gpu > 1 and not any("parallel_size" in name for name in given):
            ours["tensor_parallel_size"] = sidecar.gpu
        if sidecar.model.startswith(("s3://", "gs://")) and "load_format" not in given:
            ours["load_format"] = "runai_streamer"
        for name, value in {**ours, **given}.items():
            yield from flag(name, value)

    def _environment(self, sidecar: Sidecar) -> Iterator[dict[str, Any]]:
        plain = {"HF_HOME": f"{STORE}/hub", "VLLM_NO_USAGE_STATS": "1"}
        if sidecar.gpu == 0:
            plain["VLLM_CPU_KVCACHE_SPACE"] = str(self.kv_cache_gib)
        if self.lora_directory:
            plain |= {
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
                "VLLM_PLUGINS": "lora_filesystem_resolver",
                "VLLM_LORA_RESOLVER_CACHE_DIR": self.lora_directory,
            }
        yield from variables(plain)
        if self.hf_token:
            yield self.hf_token.variable("HF_TOKEN")
        if sidecar.api_key:
            yield sidecar.api_key.variable("VLLM_API_KEY")


def flag(name: str, value: Argument) -> Iterator[str]:
    """The words of one argument, as vLLM's command line takes them."""
    option = name.replace("_", "-")
    match value:
        case None:
            pass
        case bool():
            yield f"--{option}" if value else f"--no-{option}"
        case Mapping():
            yield from (f"--{option}", json.dumps(value, sort_keys=True))
        case str() | int() | float():
            text = str(value)
            yield from [f"--{option}={text}"] if text.startswith("-") else [f"--{option}", text]
        case _:
            yield from (f"--{option}", *map(str, value))
