# SPDX-License-Identifier: Apache-2.0
"""`imagekit index`: images of several platforms, built on several machines, under one tag."""

from __future__ import annotations

import click

from imagekit.builders.indexing import index_images
from imagekit.builders.runtime import runtime_pin
from imagekit.cli.options import (
    data_lines,
    output_option,
    print_json,
    progress_option,
    shown_progress,
)
from imagekit.fleet.find import find_specs
from imagekit.lock.ensure import ensure_lock
from imagekit.registry.client import RegistryClient


@click.command(epilog="Example: imagekit index images/train/spec.yaml")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@progress_option
@output_option
def command(specs: tuple[str, ...], output: str) -> None:
    """Push the index of each SPEC, whose images `imagekit build --platform ... --push` has pushed.

    SPEC is a file, a folder, or FILE:NAME. The result is what one machine would have pushed that
    builds all platforms; of a single platform it is that image, under its tag.
    """
    found = find_specs(specs)
    pushed = []
    with data_lines() as say, shown_progress() as progress:
        client = RegistryClient(progress=progress)
        for address, spec in found.items():
            locks = ensure_lock(
                spec, address, locked=True, runtime=runtime_pin(), progress=progress
            )
            reference = index_images(spec, address, locks, client).reference
            named = f"{reference.host}/{reference.repository}@{reference.digest}"
            pushed.append({"spec": str(address), "image": named, "digest": reference.digest})
            if output == "text":
                say(named)
        client.close()
    if output == "json":
        print_json(pushed)
