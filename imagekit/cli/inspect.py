# SPDX-License-Identifier: Apache-2.0
"""`imagekit inspect`: what an image is made of, from its documents alone."""

from __future__ import annotations

from collections.abc import Iterator

import click

from imagekit.builders.record import RECORD_ANNOTATION, Record, record_of, spec_of
from imagekit.cli.common import output_option, print_json
from imagekit.cli.images import opened_image
from imagekit.oci.inspect import describe, render


@click.command(epilog="Example: imagekit inspect oci:image")
@click.argument("image")
@output_option
def command(image: str, output: str) -> None:
    """Show configuration, labels and layers of IMAGE, and the lock that it was made from.

    IMAGE is a name or digest in the local store, docker://HOST/NAME[:TAG], docker-daemon:NAME,
    oci:DIR[:REF], oci-archive:FILE[:REF] or docker-archive:FILE[:NAME:TAG].
    """
    with opened_image(image) as found:
        description = describe(found)
        record = record_of(found)
    description["annotations"].pop(RECORD_ANNOTATION, None)
    if output == "json":
        made = {} if record is None else {"spec": spec_of(found, record), "lock": record.to_dict()}
        print_json({**description, **made})
        return
    click.echo(render(description), nl=False)
    for line in [] if record is None else _lock(record):
        click.echo(line)


def _lock(record: Record) -> Iterator[str]:
    """What the image was made from, shortly."""
    debs = record.base.get("packages", ())
    base = f"Debian {record.base['release']}, {len(debs)} packages" if debs else "another image"
    yield f"made from (Python {record.python[0]}, on {base})"
    width = max(map(len, record.wheels), default=0)
    for name, (version, sha256) in sorted(record.wheels.items()):
        yield f"  {name:<{width}}  {version}  sha256:{sha256[:12]}"
