# SPDX-License-Identifier: Apache-2.0
"""`imagekit model`: model files as images, for image volumes and for registries as their store."""

from __future__ import annotations

from pathlib import Path

import click

from imagekit.builders.targets import deliver, parse_target
from imagekit.cli.common import output_option, print_json, progress_option, shown_progress
from imagekit.layers.model_files import pack
from imagekit.oci.descriptor import Platform
from imagekit.registry.client import RegistryClient


@click.group(epilog="Example: imagekit model pack model/ --to docker://registry.example/model:1")
def command() -> None:
    """Pack model files into images."""


@command.command("pack", epilog="Example: imagekit model pack model/ --to oci:packed")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--to", required=True, help="oci:DIR, oci-archive:FILE, docker://HOST/NAME:TAG ...")
@click.option("--platform", help="That nodes look for, such as linux/arm64; this machine's.")
@progress_option
@output_option
def pack_command(folder: Path, to: str, platform: str | None, output: str) -> None:
    """Make an image of FOLDER's files, one layer for each large one, and print its digest.

    One changed shard moves only itself. A pod mounts the image as a volume (Kubernetes 1.36, or
    1.31 with the gate ImageVolume), or a step of the sidecar copies its files: --files oci://...
    """
    target = parse_target(to)
    made = pack(folder, Platform.parse(platform) if platform else Platform.of_this_machine())
    with shown_progress() as progress:
        deliver(made, target, folder.name, RegistryClient(progress=progress))
    if output == "text":
        click.echo(f"{to}@{made.digest}" if "://" in to else f"{to} {made.digest}")
        return
    layers = [{"digest": layer.digest, "size_bytes": layer.size_bytes} for layer in made.layers]
    print_json({"image": to, "digest": made.digest, "layers": layers})
