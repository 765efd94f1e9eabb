# SPDX-License-Identifier: Apache-2.0
"""Pods and sidecars to test with, one of each engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidecars import NIM, VLLM, Ollama, OpenAI, SecretKey, Sidecar

KEY = SecretKey("server", "key")
CLAIM = {"persistentVolumeClaim": {"claimName": "models"}}


def pod(**spec: Any) -> dict[str, Any]:
    """A task's pod, with these fields of its spec."""
    task = {"name": "main", "image": "registry.example/team/task:1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "task"},
        "spec": {"containers": [task], **spec},
    }


def vllm(**fields: Any) -> Sidecar:
    return Sidecar(**{"engine": VLLM(), "model": "org/model", "weights": "16Gi", **fields})


def ollama(**fields: Any) -> Sidecar:
    return Sidecar(**{"engine": Ollama(), "model": "llama3.2:3b", "weights": "2Gi", **fields})


def nim(**fields: Any) -> Sidecar:
    engine = NIM(ngc_api_key=SecretKey("ngc", "key"))
    image = "registry.example/nim/llama:2.0.1"
    return Sidecar(**{"engine": engine, "model": "meta/llama", "image": image, **fields})


def openai(**fields: Any) -> Sidecar:
    engine = OpenAI(args=("--port={port}",), key_variable="API_KEY")
    image = "registry.example/any/server@sha256:" + "0" * 64
    return Sidecar(**{"engine": engine, "model": "m", "image": image, "api_key": KEY, **fields})


KINDS: dict[str, Callable[..., Sidecar]] = {
    "vllm": vllm,
    "ollama": ollama,
    "nim": nim,
    "openai": openai,
}


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    """The container of that name, wherever it stands."""
    spec = pod["spec"]
    (found,) = (
        each
        for each in [*spec.get("initContainers", []), *spec["containers"]]
        if each["name"] == name
    )
    return dict(found)


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}
