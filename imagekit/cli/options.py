# SPDX-License-Identifier: Apache-2.0
"""Options, data and progress of verbs, without what builds and registries need."""

from __future__ import annotations

import json
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from imagekit.progress import Progress, open_progress
from imagekit.spec.address import split


class _Spec(click.Path):
    """The path of a spec, or the address of one image in it."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        super().convert(split(Path(value))[0], param, ctx)
        return Path(value)


SPEC = _Spec(exists=True, dir_okay=False)

output_option = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the data on stdout is written.",
)
locked_option = click.option(
    "--locked", is_flag=True, help="Refuse to resolve: the lock must be there."
)


def print_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def shown_progress() -> AbstractContextManager[Progress]:
    """Progress on stderr, as bars or lines."""
    return open_progress(sys.stderr, os.environ)
