# SPDX-License-Identifier: Apache-2.0
"""`imagekit push`: one line on stdout, the reference with its digest."""

from __future__ import annotations

import click

from imagekit.cli.common import output_option, print_json, progress_option, shown_progress
from imagekit.cli.images import find_all
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference


@click.command(epilog="Example: imagekit push registry.example/team/train:1")
@click.argument("image")
@click.argument("destination", required=False)
@progress_option
@output_option
def command(image: str, destination: str | None, output: str) -> None:
    """Push IMAGE to DESTINATION, HOST/NAME[:TAG]; without it, to where its own name says.

    IMAGE is a name or digest in the local store, docker://HOST/NAME[:TAG], oci:DIR[:REF] or
    oci-archive:FILE[:REF]. Only what the registry lacks is sent.
    """
    target = RegistryReference.parse((destination or image).removeprefix("docker://"))
    with shown_progress() as progress:
        report = RegistryClient(progress=progress).push(find_all(image), target)
    if output == "text":
        click.echo(str(report.reference))
        return
    print_json(
        {
            "image": str(report.reference),
            "uploaded": len(report.uploaded),
            "mounted": len(report.mounted),
            "present": len(report.present),
            "sent_bytes": report.sent_bytes,
        }
    )
