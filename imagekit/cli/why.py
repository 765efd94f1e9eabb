# SPDX-License-Identifier: Apache-2.0
"""`imagekit why`: what the next build changes, and the cause of each change."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from imagekit.builders.forecast import Forecast
from imagekit.builders.latest import latest_image
from imagekit.builders.planned import plan_image
from imagekit.builders.runtime import runtime_pin
from imagekit.builders.why import Changed, explain
from imagekit.cli.images import opened_image
from imagekit.cli.options import (
    SPEC,
    locked_option,
    output_option,
    print_json,
    progress_option,
    shown_progress,
)
from imagekit.errors import BuildError
from imagekit.lock.ensure import ensure_lock
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.spec.load import load_spec


@click.command(epilog="Example: imagekit why spec.yaml docker://registry.example/team/train:1")
@click.argument("spec", metavar="SPEC", type=SPEC)
@click.argument("image", required=False)
@locked_option
@progress_option
@output_option
def command(spec: Path, image: str | None, locked: bool, output: str) -> None:
    """Name for each layer that a build of SPEC will change what changed it.

    It is compared with IMAGE, named as for `imagekit inspect`, or with the last image that was
    built from SPEC here. The cause is one field of the spec, one line of the lock, or one file.
    """
    name = image or latest_image(spec)
    if name is None:
        raise BuildError(
            f"nothing was built from {spec} on this machine",
            hint=f"name an image: imagekit why {spec} IMAGE",
        )
    loaded = load_spec(spec)
    with shown_progress() as progress:
        locks = ensure_lock(loaded, spec, locked=locked, runtime=runtime_pin(), progress=progress)
        planned = plan_image(loaded, spec, locks, progress)
    with opened_image(name) as old:
        changes = explain(old, _of_platform(planned.platforms, old))
        digest = old.digest
    if output == "json":
        print_json({"image": name, "digest": digest, "changes": [_data(each) for each in changes]})
        return
    for each in changes:
        click.echo(f"{each.layer} ({each.became}): {each.cause}")
    if not changes:
        click.echo(f"nothing changes since {name}")


def _of_platform(forecasts: tuple[Forecast, ...], old: Image) -> Forecast:
    fitting = [each for each in forecasts if Platform.parse(each.platform).fits(old.platform)]
    if not fitting:
        raise BuildError(f"the image is for {old.platform}, and the spec is not")
    return fitting[0]


def _data(change: Changed) -> dict[str, object]:
    cause = dataclasses.asdict(change.cause)
    return {"layer": change.layer, "became": change.became, "cause": cause}
