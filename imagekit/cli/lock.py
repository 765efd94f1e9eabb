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
    data_lines,
    output_option,
    print_json,
    progress_option,
    shown_progress,
)
from imagekit.cli.summary import Failure, described, summarised
from imagekit.fleet.find import find_specs
from imagekit.fleet.locking import Locked, lock_all
from imagekit.lock.file import lock_path
from imagekit.lock.model import Lock
from imagekit.lock.refresh import refresh_lock
from imagekit.progress.named import named


@click.command(epilog="Example: imagekit lock spec.yaml --upgrade")
@click.argument("places", metavar="PATH...", nargs=-1, required=True)
@click.option("--upgrade", is_flag=True, help="Take newer versions than the lock has.")
@allow_build_option
@progress_option
@output_option
def command(places: tuple[str, ...], upgrade: bool, allow_build: bool, output: str) -> int:
    """Resolve the specs in PATH... for their platforms and Pythons, and write locks beside them.

    PATH is a spec, FILE:NAME, a folder or a glob pattern.

    Versions that an existing lock holds are kept where they still fit the spec. Of several specs a
    few are locked at the same time, and one that fails doesn't stop the others.
    """
    loaded = find_specs(places)
    made: list[Locked] = []
    failures: list[Failure] = []
    answers = Answers()
    with data_lines() as say, shown_progress() as progress:

        def lock_one(path: Path) -> tuple[Lock, ...]:
            spec = loaded[path]
            with named(progress, str(path) if len(loaded) > 1 else "") as shown:
                return refresh_lock(
                    replace(spec, allow_build=True) if allow_build else spec,
                    path,
                    upgrade=upgrade,
                    runtime=runtime_pin(),
                    progress=shown,
                    answers=answers,
                )

        for each in lock_all(loaded, lock_one):
            if each.error is not None:
                failures.append((str(each.address), each.error))
                continue
            made.append(each)
            if output == "text":
                say(str(lock_path(each.address)))
    if len(loaded) == 1 and failures:
        raise failures[0][1]
    if output == "json":
        locks = [_described(each.address, lock) for each in made for lock in each.locks]
        print_json([*locks, *described(failures)])
    return summarised("locked", "specs", len(made), failures)


def _described(spec: Path, lock: Lock) -> dict[str, Any]:
    return {
        "spec": str(spec),
        "lock": str(lock_path(spec)),
        "platform": lock.target.platform,
        "digest": lock.digest,
        "packages": {wheel.name: wheel.version for wheel in lock.packages},
    }
