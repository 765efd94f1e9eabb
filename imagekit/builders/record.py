# SPDX-License-Identifier: Apache-2.0
"""What an image was made from, as the image itself says it: an annotation of its manifest.

It is the lock without hints, so it says nothing of hosts and follows from what the image's tag
covers. Why an annotation: docs/decisions/0008-record.md.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from imagekit.errors import IntegrityError
from imagekit.lock.model import Lock
from imagekit.oci.image import Image
from imagekit.values import frozen

RECORD_ANNOTATION = "dev.imagekit.record"
_SOURCE = "imagekit: source "
_LEVEL = 12
_LIMIT_BYTES = 16 << 20
_HINTS = frozenset({"filename", "group", "passwd", "reference", "released", "size", "url"})


@frozen
class Record:
    """Of one platform.

    Attributes:
        platform: as `linux/amd64`.
        python: full version, and path in the base.
        bytecode: whether it was compiled.
        base: the lock's section without hints: of Debian packages name, version and sha256.
        wheels: version and sha256 by name.
        runtime: version of the runtime; None where the packages bring it.
        apt: the lock's section without hints.
    """

    platform: str
    python: tuple[str, str]
    bytecode: bool
    base: Mapping[str, Any]
    wheels: Mapping[str, tuple[str, str]]
    runtime: str | None
    apt: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, lock: Lock, *, bytecode: bool) -> Record:
        return cls(
            platform=lock.target.platform,
            python=(lock.target.python_version, lock.target.python_path),
            bytecode=bytecode,
            base=_lean(lock.base),
            wheels={wheel.name: (wheel.version, wheel.sha256) for wheel in lock.packages},
            runtime=None if lock.runtime is None else lock.runtime.version,
            apt=None if lock.apt is None else _lean(lock.apt),
        )

    @property
    def python_minor(self) -> str:
        return ".".join(self.python[0].split(".")[:2])

    def to_dict(self) -> dict[str, Any]:
        found = {
            "platform": self.platform,
            "python": list(self.python),
            "bytecode": self.bytecode,
            "base": dict(self.base),
            "packages": {name: list(wheel) for name, wheel in sorted(self.wheels.items())},
            "runtime": self.runtime,
        }
        return found if self.apt is None else {**found, "apt": dict(self.apt)}

    def encoded(self) -> str:
        """Text for an annotation; the same for the same record everywhere."""
        import deflate  # noqa: PLC0415 - reading one needs no compressor

        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return base64.b64encode(deflate.zlib_compress(text.encode(), _LEVEL)).decode()


def record_of(image: Image) -> Record | None:
    """The record that `image` carries; None where it has none, as images of others.

    Raises:
        IntegrityError: it does not read.
    """
    text = image.annotations.get(RECORD_ANNOTATION)
    if text is None:
        return None
    try:
        inflater = zlib.decompressobj()
        data = json.loads(inflater.decompress(base64.b64decode(text, validate=True), _LIMIT_BYTES))
        version, path = data["python"]
        packages = data["packages"].items()
        return Record(
            platform=str(data["platform"]),
            python=(str(version), str(path)),
            bytecode=bool(data["bytecode"]),
            base=dict(data["base"]),
            wheels={name: (str(wheel[0]), str(wheel[1])) for name, wheel in packages},
            runtime=data["runtime"],
            apt=data.get("apt"),
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error) as error:
        raise IntegrityError(f"image {image.digest}: its record does not read") from error


def spec_of(image: Image, record: Record) -> dict[str, Any]:
    """What of a spec reached the image, by the names of its fields."""
    container = image.config.object("config")
    made = [entry.text("created_by", "") for entry in image.config.objects("history")]
    sources = [text.removeprefix(_SOURCE) for text in made if text.startswith(_SOURCE)]
    return {
        "platform": record.platform,
        "python_version": record.python_minor,
        "base_image": record.base.get("digest", "debian"),
        "packages": [f"{name}=={wheel[0]}" for name, wheel in sorted(record.wheels.items())],
        "source_root": sources[0] if sources else None,
        "compile_bytecode": record.bytecode,
        "env": dict(item.partition("=")[::2] for item in container.texts("Env")),
        "labels": container.text_map("Labels"),
        "user": container.text("User", ""),
        "workdir": container.text("WorkingDir", ""),
        "entrypoint": list(container.texts("Entrypoint")),
    }


def _lean(value: Any) -> Any:
    """Without what is only a hint, or follows from a digest beside it."""
    if isinstance(value, Mapping):
        return {key: _lean(item) for key, item in value.items() if key not in _HINTS}
    if isinstance(value, list | tuple):
        return [_lean(item) for item in value]
    return value
