# SPDX-License-Identifier: Apache-2.0
"""`imagekit bases`: what images can stand on, and bringing it up to date."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from imagekit.bases import cuda
from imagekit.bases.digests import render
from imagekit.builders.runtime import runtime_pin
from imagekit.cli.options import output_option, print_json, shown_progress
from imagekit.debian.releases import known_releases
from imagekit.files import replacing
from imagekit.fleet.bases import newest_digest, refresh_bases
from imagekit.fleet.find import find_specs
from imagekit.registry.client import RegistryClient


@click.group(epilog="Example: imagekit bases update images", invoke_without_command=True)
@output_option
@click.pass_context
def command(ctx: click.Context, output: str) -> None:
    """List the embedded bases, and the versions of CUDA with their drivers, images and wheels."""
    if ctx.invoked_subcommand is not None:
        return
    if output == "json":
        print_json({"debian": known_releases(), "cuda": [*_versions()], "images": [*_images()]})
        return
    for name, python in known_releases().items():
        click.echo(f"debian  {name:<9} Python {python}")
    for release in cuda.releases().values():
        click.echo(f"cuda    {release.version:<9} {_told(release)}")


@command.command("update", epilog="Example: imagekit bases update images")
@click.argument("places", metavar="[PATH...]", nargs=-1)
@click.option(
    "--cuda",
    "cuda_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the digests of NVIDIA's images there, as their registry says them.",
)
@click.option("--from", "source", metavar="HOST/NAME", help="Where NVIDIA's images are; a mirror.")
@output_option
def update_command(
    places: tuple[str, ...], cuda_file: Path | None, source: str | None, output: str
) -> None:
    """Take the newest bases of the specs in PATH...: digests in specs, and their locks.

    PATH is a spec, FILE:NAME, a folder or a glob pattern. What a spec names by tag and digest gets
    the digest that the tag has now; packages keep the versions of the lock. One line on stdout
    per base that is another now.
    """
    if not places and cuda_file is None:
        raise click.UsageError("name specs or folders, or --cuda FILE")
    client = RegistryClient()
    try:
        if cuda_file is not None:
            _write_digests(cuda_file, source, client)
        _update(places, client, output)
    finally:
        client.close()


def _update(places: tuple[str, ...], client: RegistryClient, output: str) -> None:
    specs = find_specs(places)
    with shown_progress() as progress:
        found = refresh_bases(specs, client, runtime=runtime_pin(), progress=progress)
    if output == "json":
        rows = [{**dataclasses.asdict(each), "address": str(each.address)} for each in found]
        print_json({"bases": rows})
        return
    for each in found:
        if each.changed:
            before = each.before or "none"
            click.echo(f"{each.address} {each.platform} {each.base}: {before} -> {each.after}")


def _write_digests(path: Path, source: str | None, client: RegistryClient) -> None:
    digests = {}
    for image in cuda.images():
        repository, _, tag = image.reference.rpartition(":")
        digests[tag] = newest_digest(f"{source or repository}:{tag}", client)
    with replacing(path) as stream:
        stream.write(render(digests).encode())


def _told(release: cuda.Release) -> str:
    driver = f"driver {release.major.driver} or later"
    driver += f", all features from {release.driver}" if release.driver else ""
    wheels = ", ".join(f"{name} {version}" for name, version in release.wheels.items())
    return f"{driver}; images of {release.release}; {wheels}"


def _versions() -> Iterator[dict[str, Any]]:
    for release in cuda.releases().values():
        yield {
            "version": release.version,
            "release": release.release,
            "least_driver": release.major.driver,
            "driver": release.driver or None,
            "index": release.index,
            "wheels": dict(release.wheels),
        }


def _images() -> Iterator[dict[str, Any]]:
    return (dataclasses.asdict(image) for image in cuda.images())
