# SPDX-License-Identifier: Apache-2.0
"""What the tests of the client share: one that hardly waits, and answers of a scripted registry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagekit.oci import digest, media_types
from imagekit.registry.access import Access, Pace
from imagekit.registry.client import RegistryClient
from tests.fakes.fault_proxy import Fault

FOREVER = 1_000_000


def client(environ: Mapping[str, str] | None = None, **settings: Any) -> RegistryClient:
    """With an empty environment: no user's credentials, no home of theirs."""
    chosen = {"DOCKER_CONFIG": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", **(environ or {})}
    pace = settings.pop("pace", Pace(first_seconds=0.001))
    return RegistryClient(Access(environ=chosen, pace=pace, **settings))


def login(folder: Path, host: str, user: str, password: str, **more: str) -> dict[str, str]:
    """A Docker configuration with these credentials, as the environment names it."""
    folder.mkdir(parents=True, exist_ok=True)
    entry = {"username": user, "password": password, **more}
    (folder / "config.json").write_text(json.dumps({"auths": {host: entry}}))
    return {"DOCKER_CONFIG": str(folder)}


def answer(
    where: str,
    body: bytes = b"",
    status: int = 200,
    times: int = FOREVER,
    headers: Mapping[str, str] | None = None,
) -> Fault:
    return Fault(where, "answer", times, status, headers or {}, body)


def image_documents() -> tuple[bytes, bytes]:
    """Manifest and config of an image without layers."""
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    ).encode()
    described = {
        "mediaType": media_types.CONFIG,
        "digest": digest.of_bytes(config),
        "size": len(config),
    }
    manifest = {"schemaVersion": 2, "mediaType": media_types.MANIFEST, "config": described}
    return json.dumps({**manifest, "layers": []}).encode(), config
