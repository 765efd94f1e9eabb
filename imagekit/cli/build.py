# SPDX-License-Identifier: Apache-2.0
"""`imagekit build`: one line on stdout per image, `NAME@sha256:...`."""

from __future__ import annotations

from pathlib import Path

import click

from imagekit.cli.common import (
    SPEC,
    build_spec,
    locked_option,
    output_option,
    print_json,
    shown_progress,
)
from imagekit.spec.load import load_specs


@click.command(epilog="Example: imagekit build spec.yaml --to oci:image")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, type=SPEC)
@click.option(
    "--to",
    metavar="DEST",
    multiple=True,
    help="docker://HOST/NAME:TAG, oci:DIR, oci-archive:FILE, docker-archive:FILE or "
    "docker-daemon:NAME:TAG; repeatable. Without it the image lands in the local store.",
)
@click.option("--push", is_flag=True, help="Push to the spec's registry, under the image's tag.")
@locked_option
@output_option
def command(
    specs: tuple[Path, ...], to: tuple[str, ...], push: bool, locked: bool, output: str
) -> None:
    """Build an image from each SPEC, and print its reference with its digest.

    A spec without a lock is resolved first, and the lock written beside it. A lock that no longer
    belongs to its spec is an error: `imagekit lock` refreshes it. Of a spec with a matrix all
    images are built, or one: SPEC is then FILE:NAME.
    """
    # A mistake in the last one is told before the first one is built.
    addresses = [address for path in specs for address in load_specs(path)]
    if to and len(addresses) > 1:
        raise click.UsageError("--to takes one image: several would meet in one place")
    images = []
    with shown_progress() as progress:
        for path in addresses:
            built = build_spec(path, to=to, locked=locked, progress=progress, push=push)
            image = str(built)
            images.append({"spec": str(path), "image": image, "digest": built.digest})
            if output == "text":
                click.echo(image)
    if output == "json":
        print_json(images)
