# SPDX-License-Identifier: Apache-2.0
"""Who makes an image, as far as its bytes depend on that: a part of the image's tag.

The same spec and lock built by another builder, or by one whose layers come out otherwise, are
another image, and must not be found under the same tag.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from imagekit.debian.recipe import workings
from imagekit.layers import formats
from imagekit.lock.model import Lock
from imagekit.spec.builder_rules import named_builder
from imagekit.spec.model import ImageSpec

_PACKAGE = Path(__file__).parent.parent
_ENVD = (
    "layers/apply_layer.py",
    "planning/envd.py",
    "planning/rendering.py",
    "planning/templates/build.envd.j2",
)
_DOCKERFILE = (
    "layers/compile_installed.py",
    "layers/users.py",
    "layers/venv.py",
    "planning/dockerfile.py",
    "planning/rendering.py",
    "planning/templates/image.Dockerfile.j2",
)
"""What decides what a Dockerfile's build leaves."""


def is_native(spec: ImageSpec) -> bool:
    return spec.builder in (None, "native")


def identity(spec: ImageSpec, lock: Lock) -> Mapping[str, str]:
    """Of the builder that the spec names."""
    if is_native(spec):
        return native_identity(lock, bytecode=spec.compile_bytecode)
    if named_builder(spec.builder) == "prebuilt":
        return {"builder": "prebuilt"}
    if spec.builder == "envd":
        native = native_identity(lock, bytecode=spec.compile_bytecode)
        return {**native, "builder": "envd", "template": _digest_of(_ENVD)}
    return dockerfile_identity(lock)


def native_identity(lock: Lock, *, bytecode: bool) -> Mapping[str, str]:
    """Of the native builder: the versions that its recipes hold."""
    found = {
        "builder": "native",
        "compressor": formats.COMPRESSOR,
        "record": formats.RECORD,
        "tree": formats.TREE,
        "wheels": formats.WHEELS,
    }
    if bytecode:
        found["bytecode"] = formats.BYTECODE
    if lock.base["kind"] == "debian":
        found["debian"] = workings()
    return found | _apt(lock)


def dockerfile_identity(lock: Lock) -> Mapping[str, str]:
    """Of builders that work by a Dockerfile: a digest of what writes it."""
    return {"builder": "dockerfile", "template": _digest_of(_DOCKERFILE)} | _apt(lock)


def _apt(lock: Lock) -> dict[str, str]:
    if lock.apt is None:
        return {}
    from imagekit.debian.apt.recipe import apt_workings  # noqa: PLC0415 - few have any

    return {"apt": apt_workings()}


@cache
def _digest_of(names: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update((_PACKAGE / name).read_bytes())
    return digest.hexdigest()
