# SPDX-License-Identifier: Apache-2.0
"""`imagekit lock`: one line on stdout per lock, the path of the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from imagekit.builders.runtime import runtime_pin
from imagekit.cli.common import (
    SPEC,
    allow_build_option,
    output_option,
    print_json,
    progress_option,
    shown_progress,
)
from imagekit.lock.file import lock_path
from imagekit.lock.model import Lock
from imagekit.lock.refresh import refresh_lock
from imagekit.spec.load import load_specs


@click.command(epilog="Example: imagekit lock spec.yaml --upgrade")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, type=SPEC)
@click.option("--upgrade", is_flag=True, help="Take newer versions than the lock has.")
@allow_build_option
@progress_option
@output_option
def command(specs: tuple[Path, ...], upgrade: bool, allow_build: bool, output: str) -> None:
    """Resolve each SPEC for its platform and Python, and write the lock beside it.

    Versions that an existing lock holds are kept where they still fit the spec.
    """
    loaded = [each for path in specs for each in load_specs(path).items()]
    locks: list[dict[str, Any]] = []
    with shown_progress() as progress:
        for path, spec in loaded:
            allowed = replace(spec, allow_build=True) if allow_build else spec
            locked = refresh_lock(
                allowed, path, upgrade=upgrade, runtime=runtime_pin(), progress=progress
            )
            file = str(lock_path(path))
            locks += [_described(path, file, lock) for lock in locked]
            if output == "text":
                click.echo(file)
    if output == "json":
        print_json(locks)


def _described(spec: Path, file: str, lock: Lock) -> dict[str, Any]:
    return {
        "spec": str(spec),
        "lock": file,
        "platform": lock.target.platform,
        "digest": lock.digest,
        "packages": {wheel.name: wheel.version for wheel in lock.packages},
    }
