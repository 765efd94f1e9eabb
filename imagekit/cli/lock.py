# SPDX-License-Identifier: Apache-2.0
"""`imagekit lock`: one line on stdout per lock, the path of the file."""

from __future__ import annotations

from pathlib import Path

import click

from imagekit.builders import runtime_pin
from imagekit.cli.common import SPEC, output_option, print_json, shown_progress
from imagekit.lock.ensure import refresh_lock
from imagekit.lock.file import lock_path
from imagekit.spec.load import load_spec


@click.command(epilog="Example: imagekit lock spec.yaml --upgrade")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, type=SPEC)
@click.option("--upgrade", is_flag=True, help="Take newer versions than the lock has.")
@output_option
def command(specs: tuple[Path, ...], upgrade: bool, output: str) -> None:
    """Resolve each SPEC for its platform and Python, and write the lock beside it.

    Versions that an existing lock holds are kept where they still fit the spec.
    """
    loaded = [(path, load_spec(path)) for path in specs]
    locks = []
    with shown_progress() as progress:
        for path, spec in loaded:
            lock = refresh_lock(
                spec, path, upgrade=upgrade, runtime=runtime_pin(), progress=progress
            )
            file = str(lock_path(path))
            versions = {wheel.name: wheel.version for wheel in lock.packages}
            locks.append(
                {"spec": str(path), "lock": file, "digest": lock.digest, "packages": versions}
            )
            if output == "text":
                click.echo(file)
    if output == "json":
        print_json(locks)
