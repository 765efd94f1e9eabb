# SPDX-License-Identifier: Apache-2.0
"""How a command on many specs ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import click

from imagekit.errors import ImagekitError

Failure: TypeAlias = tuple[str, ImagekitError]
"""A spec's address, and what was wrong."""


def summarised(done: str, what: str, count: int, failures: Sequence[Failure]) -> int:
    """Of several tell how many were `done`, and what failed; the exit code is the first one's."""
    for spec, error in failures:
        click.echo(f"error: {spec}: {error.message}", err=True)
        if error.hint is not None:
            click.echo(f"hint: {error.hint}", err=True)
    if count + len(failures) > 1:
        failed = f", {len(failures)} failed" if failures else ""
        click.echo(f"{done} {count} {what}{failed}", err=True)
    return failures[0][1].exit_code if failures else 0


def described(failures: Sequence[Failure]) -> list[dict[str, str]]:
    """For `--output json`."""
    return [{"spec": spec, "error": error.message} for spec, error in failures]
