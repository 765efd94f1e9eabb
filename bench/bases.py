# SPDX-License-Identifier: Apache-2.0
"""Base images in a registry: Debian with a Python, and two on top of it.

One has a label. The one that stands for CUDA has 64 MB of noise where its libraries would be.
"""

from __future__ import annotations

import os
from pathlib import Path

from bench.ours import Ours
from imagekit.layers.cache import LayerCache
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.image import Image
from imagekit.oci.layout import read_layout
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference

NAMES = ("plain", "labelled", "cuda-stand-in")
_STAND_IN_BYTES = 64 << 20


class Bases:
    """`references` by Python and name, once they are pushed."""

    def __init__(self, ours: Ours, folder: Path, pythons: tuple[str, ...]) -> None:
        self._images = {
            (python, name): _image(ours, folder, python, name)
            for python in pythons
            for name in NAMES
        }

    def push(self, address: str) -> None:
        client = RegistryClient()
        for (python, name), image in self._images.items():
            client.push(image, RegistryReference.parse(reference(address, python, name)))
        client.close()


def reference(address: str, python: str, name: str) -> str:
    return f"{address}/bases/{name}:{python}"


def _image(ours: Ours, folder: Path, python: str, name: str) -> Image:
    """The layer of Debian of an image of ours, without what is above it."""
    layout = folder / python
    if not layout.exists():
        spec = folder / f"{python}.yaml"
        spec.parent.mkdir(parents=True, exist_ok=True)
        spec.write_text(f'name: bases\npython_version: "{python}"\n')
        ours.run("build", spec, "--to", f"oci:{layout}")
    whole = read_layout(layout)
    additions = [Addition(whole.layers[0], "Debian")]
    if name == NAMES[-1]:
        noise = LayerCache(folder / "layers").make(
            "noise", lambda writer: writer.file("usr/local/lib/noise", os.urandom(_STAND_IN_BYTES))
        )
        additions.append(Addition(noise, "noise that stands for CUDA"))
    settings = Settings(labels={"base": name}, environment={"PATH": "/usr/bin:/bin"})
    return assemble(None, additions, settings, platform=whole.platform)
