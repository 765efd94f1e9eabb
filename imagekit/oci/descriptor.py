# SPDX-License-Identifier: Apache-2.0
"""Descriptors (image-spec, descriptor.md): how one blob points at another; and platforms."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from imagekit.oci import digest
from imagekit.oci.document import Document
from imagekit.values import frozen

REFERENCE_NAME = "org.opencontainers.image.ref.name"

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@frozen
class Platform:
    """Names as Go has them: `linux`, `amd64`."""

    os: str = "linux"
    architecture: str = "amd64"
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `OS/ARCHITECTURE[/VARIANT]`."""
        os_name, _, rest = text.partition("/")
        architecture, _, variant = rest.partition("/")
        return cls(os_name, architecture, variant)

    @classmethod
    def of_this_machine(cls) -> Platform:
        machine = platform.machine()
        return cls("linux", _MACHINES.get(machine, machine))

    @classmethod
    def from_document(cls, document: Document) -> Platform:
        return cls(
            document.text("os", ""), document.text("architecture", ""), document.text("variant", "")
        )

    def to_json(self) -> dict[str, str]:
        found = {"os": self.os, "architecture": self.architecture, "variant": self.variant}
        return {key: value for key, value in found.items() if value}

    def fits(self, wanted: Platform) -> bool:
        """Whether an image for this platform runs on `wanted`; a variant counts if both have it."""
        same = (self.os, self.architecture) == (wanted.os, wanted.architecture)
        return same and (not (self.variant and wanted.variant) or self.variant == wanted.variant)


@frozen
class Descriptor:
    media_type: str
    digest: str
    size_bytes: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None

    @classmethod
    def of(cls, media_type: str, data: bytes) -> Descriptor:
        return cls(media_type, digest.of_bytes(data), len(data))

    @classmethod
    def from_document(cls, document: Document) -> Descriptor:
        """Raises IntegrityError where something is absent, or the digest is not a sha256."""
        described = document.object("platform")
        return cls(
            document.text("mediaType"),
            digest.check(document.text("digest")),
            document.count("size"),
            document.text_map("annotations"),
            Platform.from_document(described) if described.members else None,
        )

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size_bytes,
        }
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        if self.platform is not None:
            found["platform"] = self.platform.to_json()
        return found
