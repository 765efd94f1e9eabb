# SPDX-License-Identifier: Apache-2.0
"""vLLM's OpenAI server, on GPUs or on the CPU."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import OptionError
from ..quantity import format_bytes, parse_quantity
from ..references import FOLDER, as_path, encoded, has_reference
from ..sidecar import SecretKey, Server, Sidecar
from .variables import literal, variables

Argument = str | int | float | bool | Sequence[str | int] | Mapping[str, Any] | None

STORE = "/model-store"
_OURS = {
    "config": "arguments that name a task's inputs",
    "port": "port",
    "host": "nothing: the kubelet asks the pod's address",
    "model": "model",
    "served_model_name": "served_name or aliases",
    "api_key": "api_key",
    "lora_modules": "loras",
    "enable_lora": "loras or lora_directory",
}
"""Arguments that a field of the sidecar drives; the task would not learn of them otherwise."""
_CONFIGURATION = f"{FOLDER}/vllm.yaml"
_DRAIN = "shutdown_timeout"
_SHM_BYTES_PER_GPU = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class VLLM:
    """`model` is a name on the hub, a path in a volume or the image, or an object store's URL.

    With the sidecar's `files` it is only the name that clients use. Arguments are typed: True is
    `--flag`, False is `--no-flag`, a sequence several words, a mapping JSON, and None is left out.
    Those that name a task's inputs (`{{.inputs.NAME}}`) are written to a file before the server
    starts, which it reads by `--config`.
    """

    arguments: Mapping[str, Argument] = field(default_factory=dict)
    hf_token: SecretKey | None = None
    loras: Mapping[str, str] = field(default_factory=dict)
    """Adapters by name: a path, or a name on the hub, or `{{.inputs.NAME}}`."""
    aliases: tuple[str, ...] = ()
    """More names of the model, besides the one that the task is told."""
    lora_directory: str | None = None
    """A folder of adapters, DIR/NAME/adapter_config.json, loaded when a request names one.

    vLLM takes those alone whose base_model_name_or_path is the model as the server was told it.
    """
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
        return "vllm/vllm-openai:v0.32.0"

    def serve(self, sidecar: Sidecar) -> Server:
        if problems := list(self._problems(sidecar)):
            raise OptionError(problems)
        downloads = not _is_local(sidecar) and "://" not in sidecar.model
        keeps = downloads or sidecar.store or sidecar.fetched
        later = self._later()
        return Server(
            command=("python3", "-m", "vllm.entrypoints.openai.api_server"),
            args=tuple(map(literal, self._words(sidecar))),
            environment=tuple(self._environment(sidecar)),
            store_path=STORE if keeps else None,
            shm=format_bytes(max(1, sidecar.gpu) * _SHM_BYTES_PER_GPU),
            drain_seconds=self._drain_seconds(),
            configuration={"path": _CONFIGURATION, "values": encoded(later)} if later else None,
        )

    def _drain_seconds(self) -> int:
        """None of its own: nobody asks when the task has ended, and draining takes all its time."""
        given = {name.lstrip("-").replace("-", "_"): each for name, each in self.arguments.items()}
        seconds = given.get(_DRAIN, 0)
        return seconds if isinstance(seconds, int) else 0

    def _names(self, sidecar: Sidecar) -> tuple[str, ...] | None:
        """The task's own name for the model comes first; None where vLLM gives it that itself."""
        is_told = sidecar.files or sidecar.served_name or self.aliases
        return (sidecar.client_name, *self.aliases) if is_told else None

    def _later(self) -> dict[str, Argument]:
        """The arguments whose values are known when the pod runs."""
        return {
            name.lstrip("-").replace("_", "-"): value
            for name, value in self.arguments.items()
            if has_reference(value)
        }

    def _problems(self, sidecar: Sidecar) -> Iterator[str]:
        for name in self.arguments:
            key = name.lstrip("-").replace("-", "_").removeprefix("no_")
            if key in _OURS:
                yield f"arguments: {name} is driven by {_OURS[key]}"
        asked = [self.arguments, self.loras, sidecar.model]
        if has_reference(asked) and sidecar.inputs is None:
            yield "it names a task's input, and the sidecar has no `inputs`"
        if has_reference(sidecar.model) and not sidecar.served_name:
            yield "a model that is a task's input needs served_name, by which the task asks for it"
        if "image" in (sidecar.store or {}) and not sidecar.model.startswith("/"):
            yield f"store is an image, which is read-only: model has to be a path in {STORE}"
        if sidecar.gpu == 0 and sidecar.weights_size:
            needed = parse_quantity(sidecar.weights_size) + self.kv_cache_gib * 1024**3
            if needed > parse_quantity(sidecar.memory):
                yield (
                    f"without a GPU weights and cache need {format_bytes(needed)} of memory,"
                    f" and memory is {sidecar.memory}"
                )

    def _words(self, sidecar: Sidecar) -> Iterator[str]:
        ours: dict[str, Argument] = {
            "config": _CONFIGURATION if self._later() else None,
            "model": _place(sidecar),
            "served_model_name": self._names(sidecar),
            "host": "0.0.0.0",  # noqa: S104 - the kubelet probes the pod's address
            "port": sidecar.server_port,
        }
        loras = {name: as_path(path) for name, path in self.loras.items()}
        for name in sidecar.adapters:
            loras[name] = f"{STORE}/{sidecar.adapters_folder}/{name}"
        if loras or self.lora_directory:
            ours["enable_lora"] = True
        if loras:
            ours["lora_modules"] = [f"{name}={path}" for name, path in loras.items()]
        given = {
            name.lstrip("-").replace("-", "_"): each
            for name, each in self.arguments.items()
            if not has_reference(each)
        }
        every = [*given, *(name.replace("-", "_") for name in self._later())]
        if sidecar.gpu > 1 and not any("parallel_size" in name for name in every):
            ours["tensor_parallel_size"] = sidecar.gpu
        if _place(sidecar).startswith(("s3://", "gs://")) and "load_format" not in given:
            ours["load_format"] = "runai_streamer"
        for name, value in {**ours, **given}.items():
            yield from flag(name, value)

    def _environment(self, sidecar: Sidecar) -> Iterator[dict[str, Any]]:
        plain = {"HF_HOME": f"{STORE}/hub", "VLLM_NO_USAGE_STATS": "1"}
        if _is_local(sidecar):
            plain["HF_HUB_OFFLINE"] = "1"
        if sidecar.gpu == 0:
            plain["VLLM_CPU_KVCACHE_SPACE"] = str(self.kv_cache_gib)
        if self.lora_directory:
            plain |= {
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
                "VLLM_LORA_RESOLVER_CACHE_DIR": self.lora_directory,
            }
        yield from variables(plain)
        if self.hf_token:
            yield self.hf_token.variable("HF_TOKEN")
        if sidecar.api_key:
            yield sidecar.api_key.variable("VLLM_API_KEY")


def _place(sidecar: Sidecar) -> str:
    """Where the server finds the model."""
    if sidecar.files is not None:
        return f"{STORE}/{sidecar.folder(sidecar.files)}"
    return as_path(sidecar.model)


def _is_local(sidecar: Sidecar) -> bool:
    return _place(sidecar).startswith("/")


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
