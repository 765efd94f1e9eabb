# SPDX-License-Identifier: Apache-2.0
"""`imagekit diff`: what two images differ in; the exit code says whether they do."""

from __future__ import annotations

import click

from imagekit.cli.common import output_option, print_json
from imagekit.cli.images import opened_image
from imagekit.compare.differences import compare
from imagekit.compare.render import as_data, as_text

_DIFFERENT = 1


@click.command(epilog="Example: imagekit diff team/train:1 docker-daemon:team/train:2")
@click.argument("first", metavar="IMAGE")
@click.argument("second", metavar="IMAGE")
@click.option("--strict", is_flag=True, help="Allow nothing that other builders do otherwise.")
@output_option
def command(first: str, second: str, strict: bool, output: str) -> int:
    """Compare two images by packages, files and configuration, whoever built them.

    Each IMAGE is named as for `imagekit inspect`. Ends with 0 when they agree, but for what
    builders may differ in, and with 1 when they do not.
    """
    with opened_image(first) as one, opened_image(second) as other:
        comparison = compare(one, other)
    if output == "json":
        print_json(as_data(comparison, strict=strict))
    else:
        click.echo(as_text(comparison, strict=strict), nl=False)
    return 0 if comparison.agrees(strict=strict) else _DIFFERENT
