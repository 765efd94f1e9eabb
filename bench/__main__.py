# SPDX-License-Identifier: Apache-2.0
"""`python -m bench`: prints tables of medians; asserts nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from bench import build, start, storage


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(["build", "start", "storage"]))
@click.option("--folder", type=click.Path(path_type=Path), help="Where to work; kept if given.")
@click.option("--rounds", default=3, show_default=True, help="Of builds and of transfers.")
@click.option("--starts", default=41, show_default=True, help="Of each way to start a task.")
@click.option(
    "--bytecode",
    type=click.Choice(["with", "without", "both"]),
    default="both",
    show_default=True,
    help="Whether builds make .pyc files.",
)
@click.option("--peer/--no-peer", default=True, help="Build with Docker, too.")
@click.option("--package", "packages", multiple=True, help="Instead of the usual set; repeatable.")
def main(
    parts: tuple[str, ...],
    folder: Path | None,
    rounds: int,
    starts: int,
    bytecode: str,
    peer: bool,
    packages: tuple[str, ...],
) -> None:
    """Time PARTS (build, start, storage; all by default) beside their peers."""
    with tempfile.TemporaryDirectory(prefix="imagekit-bench-") as temporary:
        work = (folder or Path(temporary)).absolute()
        kinds = ("with", "without") if bytecode == "both" else (bytecode,)
        for chosen in kinds if "build" in parts or not parts else ():
            request = build.Request(
                work, rounds, chosen == "with", peer, packages or build.PACKAGES
            )
            click.echo(f"\nBuilds {chosen} bytecode, median seconds of {rounds}\n")
            click.echo(build.run(request), nl=False)
        if "start" in parts or not parts:
            click.echo(f"\nTask starts, medians of {starts}\n")
            click.echo(start.run(work, starts), nl=False)
        if "storage" in parts or not parts:
            click.echo(f"\nObject storage, medians of {rounds}\n")
            click.echo(storage.run(work, rounds), nl=False)


main()
