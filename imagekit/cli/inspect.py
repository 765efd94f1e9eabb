# SPDX-License-Identifier: Apache-2.0
"""`imagekit inspect`: what an image is made of, from its documents alone."""

from __future__ import annotations

import click

from imagekit.cli.common import opened_image, output_option, print_json
from imagekit.oci.inspect import describe, render


@click.command(epilog="Example: imagekit inspect oci:image")
@click.argument("image")
@output_option
def command(image: str, output: str) -> None:
    """Show configuration, labels and layers of IMAGE.

    IMAGE is a name or digest in the local store, docker://HOST/NAME[:TAG], docker-daemon:NAME,
    oci:DIR[:REF], oci-archive:FILE[:REF] or docker-archive:FILE[:NAME:TAG].
    """
    with opened_image(image) as found:
        description = describe(found)
    if output == "json":
        print_json(description)
    else:
        click.echo(render(description), nl=False)
