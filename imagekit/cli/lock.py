# SPDX-License-Identifier: Apache-2.0
"""`imagekit lock`: one line on stdout per lock, the path of the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from imagekit.answers import Answers
from imagekit.builders.runtime import runtime_pin
from imagekit.cli.common import (
    allow_build_option,
    output_option,
    print_json,
    progress_option,
    shown_progress,
)
from imagekit.fleet.find import find_specs
from imagekit.lock.file import lock_path
from imagekit.lock.model import Lock
from imagekit.lock.refresh import refresh_lock


@click.command(epilog="Example: imagekit lock spec.yaml --upgrade")
@click.argument("places", metavar="PATH...", nargs=-1, required=True)
@click.option("--upgrade", is_flag=True, help="Take newer versions than the lock has.")
@allow_build_option
@progress_option
@output_option
def command(places: tuple[str, ...], upgrade: bool, allow_build: bool, output: str) -> None:
    """Resolve the specs in PATH... for their platforms and Pythons, and write locks beside them.

    PATH is a spec, FILE:NAME, a folder or a glob pattern.

    Versions that an existing lock holds are kept where they still fit the spec.
    """
    loaded = find_specs(places)
    locks: list[dict[str, Any]] = []
    answers = Answers()
    with shown_progress() as progress:
        for path, spec in loaded.items():
            allowed = replace(spec, allow_build=True) if allow_build else spec
            locked = refresh_lock(
                allowed,
                path,
                upgrade=upgrade,
                runtime=runtime_pin(),
                progress=progress,
                answers=answers,
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
