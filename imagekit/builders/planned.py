# SPDX-License-Identifier: Apache-2.0
"""The plan of a build as a whole: every platform, and what a registry will be sent."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imagekit.builders.auto import settled
from imagekit.builders.crossing import bytecode_told
from imagekit.builders.forecast import Forecast, ForecastLayer, forecast
from imagekit.builders.identity import is_native
from imagekit.builders.naming import common_tag, repository
from imagekit.builders.unrunnable import running_told
from imagekit.lock.model import Lock
from imagekit.oci.index import ImageIndex
from imagekit.progress import Progress
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imagekit.builders.existing import Existing
    from imagekit.builders.sending import Sending
    from imagekit.lock.cuda import Told


@frozen
class Planned:
    """`name` is the image's, with its tag; `cuda` is None for a platform that has none.

    `bytecode` says for each platform who compiles it, where that is not its own interpreter;
    `running` that what has to be run for it can't be run here.
    `worker` says what those who would build can't do, or that they don't answer.
    The rest is None where no registry was asked.
    """

    name: str
    platforms: tuple[Forecast, ...]
    cuda: tuple[Told | None, ...]
    bytecode: tuple[str, ...]
    running: tuple[str, ...]
    registry: str | None = None
    sending: Sending | None = None
    existing: Existing | None = None
    worker: tuple[str, ...] = ()

    @property
    def digest(self) -> str | None:
        """What the build will print; None where that is unknown until it is done."""
        images = [each.image for each in self.platforms if each.image is not None]
        if len(images) < len(self.platforms):
            return None
        return images[0].digest if len(images) == 1 else ImageIndex(tuple(images)).digest

    @property
    def unknown(self) -> tuple[str, ...]:
        """Layers whose bytes nobody knows until they are built."""
        return tuple(dict.fromkeys(name for each in self.platforms for name in each.unknown))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        found: dict[str, Any] = {
            "image": self.name,
            "digest": self.digest,
            "unknown": list(self.unknown),
            **({"worker": list(self.worker)} if self.worker else {}),
            "platforms": [
                self._platform(each, told, {"bytecode": bytecode, "running": running})
                for each, told, bytecode, running in zip(
                    self.platforms, self.cuda, self.bytecode, self.running, strict=True
                )
            ],
        }
        if self.sending is not None and self.existing is not None:
            found["push"] = {
                "registry": self.registry,
                "image": self.existing.answer,
                "size_bytes": self.sending.size_bytes,
                "exact": self.sending.exact,
            }
        return found

    def _platform(
        self, found: Forecast, cuda: Told | None, texts: Mapping[str, str]
    ) -> dict[str, Any]:
        said: dict[str, Any] = {} if cuda is None else {"cuda": dataclasses.asdict(cuda)}
        said |= {name: text for name, text in texts.items() if text}
        return said | {
            "platform": found.platform,
            "digest": None if found.image is None else found.image.digest,
            "size_bytes": sum(layer.size_bytes for layer in found.layers),
            "layers": [self._layer(layer) for layer in found.layers],
            "sources": [
                {
                    "name": wheel.name,
                    "version": wheel.version,
                    "from": str(wheel.built),
                    "builds": builds,
                }
                for wheel, builds in found.sources
            ],
        }

    def _layer(self, found: ForecastLayer) -> dict[str, Any]:
        return {
            "origin": found.origin,
            "digest": None if found.layer is None else found.layer.digest,
            "size_bytes": found.size_bytes,
            "exact": found.layer is not None,
            "here": found.here,
            "there": self.there(found),
        }

    def there(self, found: ForecastLayer) -> str | None:
        """What becomes of a layer in the registry: present, mounted or pushed."""
        if self.sending is None:
            return None
        return "pushed" if found.layer is None else self.sending.there[found.layer.digest]


def _cuda(spec: ImageSpec, lock: Lock) -> Told | None:
    has = "cuda" in lock.base or any(each.name.startswith("nvidia-") for each in lock.packages)
    if not has:
        return None
    from imagekit.lock.cuda import tell  # noqa: PLC0415 - most images have none

    return tell(spec, lock.base, lock.packages)


def _worker(spec: ImageSpec, spec_path: Path, locks: Sequence[Lock]) -> tuple[str, ...]:
    if is_native(spec):
        return ()
    from imagekit.builders.workers_told import workers_told  # noqa: PLC0415 - asks them

    platforms = [lock.target.platform for lock in locks]
    return workers_told(spec, spec_path.parent, platforms, os.environ)


def plan_image(
    spec: ImageSpec,
    spec_path: Path,
    locks: Sequence[Lock],
    progress: Progress,
    *,
    push_to: str | None = None,
) -> Planned:
    """What building `spec` from its locks will come to.

    Args:
        spec: what is asked for.
        spec_path: its file, which paths are relative to.
        locks: one per platform.
        progress: told what is looked at.
        push_to: `HOST/NAME[:TAG]`, a registry that is asked what it has; `""` for the spec's own.

    Raises:
        RegistryError: the registry can't be asked.
    """
    spec = settled(spec, spec_path, locks, progress=progress)
    platforms = tuple(forecast(spec, spec_path, lock, progress) for lock in locks)
    name = f"{repository(spec)}:{common_tag(spec, [each.identity for each in platforms])}"
    cuda = tuple(_cuda(spec, lock) for lock in locks)
    bytecode = tuple(
        bytecode_told(each, lock, locks, spec, spec_path, progress)
        for each, lock in zip(platforms, locks, strict=True)
    )
    running = tuple(map(running_told, platforms))
    worker = _worker(spec, spec_path, locks)
    if push_to is None:
        return Planned(name, platforms, cuda, bytecode, running, worker=worker)
    # Only here: most plans ask no registry.
    from imagekit.builders.existing import existing  # noqa: PLC0415
    from imagekit.builders.sending import sending  # noqa: PLC0415
    from imagekit.registry.client import RegistryClient  # noqa: PLC0415
    from imagekit.registry.reference import RegistryReference  # noqa: PLC0415

    reference = RegistryReference.parse(push_to or name)
    layers = [layer.layer for each in platforms for layer in each.layers if layer.layer is not None]
    client = RegistryClient(progress=progress)
    try:
        found = sending([each.image for each in platforms], layers, reference, client)
        there = existing(reference, locks, client)
    finally:
        client.close()
    return Planned(name, platforms, cuda, bytecode, running, str(reference), found, there, worker)
