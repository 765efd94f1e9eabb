# SPDX-License-Identifier: Apache-2.0
"""Options, data and progress of verbs, without what builds and registries need."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from imagekit.paths import state_directory
from imagekit.progress import Progress
from imagekit.progress.log import LogFile
from imagekit.progress.open import Style, open_progress
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

allow_build_option = click.option(
    "--allow-build",
    is_flag=True,
    help="As `allow_build: true` in the spec: build from source what comes without a wheel.",
)


_STYLE = f"{__name__}.progress"


def _keep_style(context: click.Context, _: click.Parameter, style: str) -> None:
    context.meta[_STYLE] = style


progress_option = click.option(
    "--progress",
    type=click.Choice(["auto", "plain", "json"]),
    default="auto",
    show_default=True,
    expose_value=False,
    callback=_keep_style,
    help="How work is shown on stderr: live on a terminal, as lines, or as JSON objects.",
)


def print_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


@contextlib.contextmanager
def data_lines() -> Iterator[Callable[[str], object]]:
    """What prints a line of data: at once, or after the block where progress is drawn beside it."""
    waiting: list[str] = []
    try:
        yield waiting.append if sys.stdout.isatty() else click.echo
    finally:
        for line in waiting:
            click.echo(line)


def shown_progress(*, keep_log: bool = False) -> AbstractContextManager[Progress]:
    """Progress on stderr, as `--progress` says; the log is kept under the verb's name."""
    context = click.get_current_context()
    style: Style = context.meta.get(_STYLE, "auto")
    verb = context.info_name or ""
    log = LogFile(state_directory() / "logs", verb) if keep_log else None
    return open_progress(sys.stderr, os.environ, style, log)
