# SPDX-License-Identifier: Apache-2.0
"""`imagekit matrix`: the images that have to be built, as GitHub Actions takes them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import click

from imagekit.cli.options import print_json
from imagekit.fleet.find import find_specs
from imagekit.fleet.parts import Part, parts
from imagekit.fleet.revision import tags_at
from imagekit.fleet.rows import Row, in_registry, rows, since, table
from imagekit.registry.client import RegistryClient


@click.command(epilog="Example: imagekit matrix images --since origin/main")
@click.argument("places", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--since",
    "revision",
    metavar="GITREF",
    help="Compare with this revision instead of asking registries.",
)
@click.option(
    "--per-platform",
    is_flag=True,
    help="One row for each platform of an image, to be built on a machine of its own.",
)
@click.option(
    "--stage",
    "stages",
    metavar="N|N+",
    default="0+",
    callback=lambda _context, _option, text: _stages(text),
    help="Only images that stand on N others which have to be built before; N+: on N or more.",
)
@click.option("--all", "everything", is_flag=True, help="Print images that exist, too.")
@click.option(
    "--output",
    type=click.Choice(["github", "json", "text"]),
    default="github",
    show_default=True,
    help="One line for a workflow's matrix, the same in more detail, or a table for people.",
)
def command(
    *,
    places: tuple[str, ...],
    revision: str | None,
    per_platform: bool,
    stages: Callable[[int], bool],
    everything: bool,
    output: str,
) -> None:
    """Say which images of the specs in PATH... have to be built, and why.

    PATH is a spec, FILE:NAME, a folder or a glob pattern. An image is left out when its registry
    has its tag, built from its lock; whatever can't be found out is built. With nothing to do the
    matrix is empty.
    """
    specs = find_specs(places)
    split: list[Part] | None = None
    with contextlib.closing(RegistryClient()) as client:
        asked = client if revision is None else None
        if revision is None:
            found = rows(specs, in_registry(client))
        else:
            found = rows(specs, since(tags_at(revision, specs), revision))
        if per_platform:
            split = parts(found, specs, asked)
    if output == "text":
        click.echo("\n".join(table(found)))
        return
    shown: Sequence[Row | Part] = found if split is None else split
    wanted = [row for row in shown if row.why or everything]
    wanted = [row for row in wanted if stages(row.stage)]
    if output == "json":
        print_json({"include": [dataclasses.asdict(row) for row in wanted]})
    else:
        click.echo(json.dumps({"include": [_flat(row) for row in wanted]}))


def _stages(text: str) -> Callable[[int], bool]:
    number = text.removesuffix("+")
    if not (number.isascii() and number.isdecimal()):
        raise click.BadParameter(f"{text!r} is no number of a stage, such as 0, or 1+")
    least = int(number)
    return (lambda stage: stage >= least) if text.endswith("+") else (lambda stage: stage == least)


def _flat(row: Row | Part) -> dict[str, Any]:
    """Texts alone: expressions of workflows take no lists apart."""
    values = dataclasses.asdict(row)
    if isinstance(row, Row):
        values["platforms"] = ",".join(row.platforms)
    return values
