# SPDX-License-Identifier: Apache-2.0
"""The files that a rendered `build.envd` is built from: the layers of a native build, laid out.

Each lies under its own digest: workers keep what was sent before and compare by name, size and
time, and all our files have the same time.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from imagekit.builders.layerings import Layering
from imagekit.errors import BuildError
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.compression import uncompressed
from imagekit.oci.digest import hexadecimal
from imagekit.oci.layer import Layer
from imagekit.oci.unpack import DEFAULT_LIMITS, unpack
from imagekit.planning.envd import APPLY, SHELL, Applied, Copied, Piece
from imagekit.planning.steps import InstallRuntime, InstallWheels, MakeEnvironment

_SCRIPT = Path(__file__).parent.parent / "layers/apply_layer.py"
_PLAIN = (MakeEnvironment, InstallWheels, InstallRuntime)
"""Steps whose layers are folders and files of root's alone."""

_SHELL = """#!/bin/sh
# What envd calls bash: `bash -c 'set -euo pipefail ...'`, and this shell has no pipefail.
exec /bin/sh -euc "${2#*pipefail}"
"""


def lay_out(folder: Path, layerings: Sequence[Layering], layers: Sequence[Layer]) -> list[Piece]:
    """Write the context to `folder`; returns what it has of each layer, in their order.

    Raises BuildError where it can't be written.
    """
    try:
        return _laid_out(folder, layerings, layers)
    except OSError as error:
        raise BuildError(f"writing envd's context: {error.strerror or error}") from error


def _laid_out(folder: Path, layerings: Sequence[Layering], layers: Sequence[Layer]) -> list[Piece]:
    (folder / "tools").mkdir()
    shutil.copyfile(_SCRIPT, folder / APPLY)
    (folder / SHELL).write_text(_SHELL, "utf-8")
    (folder / SHELL).chmod(0o755)
    (folder / "layers").mkdir()
    return [_piece(folder, *pair) for pair in zip(layerings, layers, strict=True)]


def _piece(folder: Path, layering: Layering, layer: Layer) -> Piece:
    what = " ".join(layering.created_by.removeprefix("imagekit: ").split())
    name = f"layers/{hexadecimal(layer.diff_id)[:32]}"
    if isinstance(layering.step, _PLAIN):
        place = folder / name
        place.mkdir(exist_ok=True)
        unpack(assemble(None, [Addition(layer, "")], Settings()), place)
        return Copied(what, name, tuple(sorted(path.name for path in place.iterdir())))
    file = f"{name}.tar"
    limit_bytes = DEFAULT_LIMITS.layer_bytes
    with uncompressed(layer, limit_bytes) as tar, (folder / file).open("wb") as stream:
        shutil.copyfileobj(tar, stream, 1 << 20)
    return Applied(what, file)
