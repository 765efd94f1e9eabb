# SPDX-License-Identifier: Apache-2.0
"""Builds an image by flytekit's or flyte 2's own builder: `python imagespec.py WHO REQUEST.json`.

Run by an interpreter that has both; never imported. The request names base, registry, name,
packages and the folder of sources.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any


def by_flytekit(request: dict[str, Any]) -> None:
    module = importlib.import_module("flytekit.image_spec.image_spec")
    constants = importlib.import_module("flytekit.constants")
    spec = module.ImageSpec(
        name=request["name"],
        registry=request["registry"],
        base_image=request["base"],
        python_exec="/opt/venv/bin/python",
        packages=request["packages"],
        source_root=request["source"],
        source_copy_mode=constants.CopyFileDetection.ALL,
        builder="default",
    )
    module.ImageBuildEngine.build(spec)


def by_flyte(request: dict[str, Any]) -> None:
    flyte = importlib.import_module("flyte")
    image = (
        flyte.Image.from_base(request["base"])
        .clone(name=request["name"], registry=request["registry"], extendable=True)
        .with_pip_packages(*request["packages"])
        .with_source_folder(Path(request["source"]), copy_contents_only=True)
    )
    flyte.init()
    flyte.build(image)


if __name__ == "__main__":
    who, path = sys.argv[1:]
    {"flytekit": by_flytekit, "flyte": by_flyte}[who](json.loads(Path(path).read_text()))
