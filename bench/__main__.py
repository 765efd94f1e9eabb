# SPDX-License-Identifier: Apache-2.0
"""`python -m bench`: prints tables of medians; asserts nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from bench import build, fleet, same, start, storage


@click.command()
@click.argument(
    "parts", nargs=-1, type=click.Choice(["build", "same", "fleet", "start", "storage"])
)
@click.option("--folder", type=click.Path(path_type=Path), help="Where to work; kept if given.")
@click.option("--rounds", default=1, show_default=True, help="Of builds and of transfers.")
@click.option("--starts", default=41, show_default=True, help="Of each way to start a task.")
@click.option(
    "--bytecode",
    type=click.Choice(["with", "without", "both"]),
    default="with",
    show_default=True,
    help="Whether builds make .pyc files.",
)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Choice([*build.PEERS, "none"]),
    default=build.PEERS,
    show_default=True,
    help="Beside whom builds are timed; repeatable.",
)
@click.option("--package", "packages", multiple=True, help="Instead of the usual set; repeatable.")
def main(
    parts: tuple[str, ...],
    folder: Path | None,
    rounds: int,
    starts: int,
    bytecode: str,
    peers: tuple[str, ...],
    packages: tuple[str, ...],
) -> None:
    """Time PARTS (build, same, fleet, start, storage; all by default) beside their peers."""
    kinds = ("with", "without") if bytecode == "both" else (bytecode,)
    chosen = [peer for peer in peers if peer != "none"]

    def builds(work: Path) -> None:
        for kind in kinds:
            click.echo(f"\nBuilds {kind} bytecode, push included, medians of {rounds} rounds\n")
            request = build.Request(
                work, rounds, kind == "with", chosen, packages or build.PACKAGES
            )
            click.echo(build.run(request), nl=False)

    def alike(work: Path) -> None:
        click.echo(f"\nThe same Dockerfile, medians of {rounds} rounds\n")
        click.echo(same.run(work, rounds), nl=False)

    def fleets(work: Path) -> None:
        click.echo("\nMany images, push included, once\n")
        click.echo(fleet.run(work), nl=False)

    def begun(work: Path) -> None:
        click.echo(f"\nTask starts, medians of {starts}\n")
        click.echo(start.run(work, starts), nl=False)

    def stored(work: Path) -> None:
        click.echo(f"\nObject storage, medians of {rounds}\n")
        click.echo(storage.run(work, rounds), nl=False)

    every: Mapping[str, Callable[[Path], None]] = {
        "build": builds,
        "same": alike,
        "fleet": fleets,
        "start": begun,
        "storage": stored,
    }
    with tempfile.TemporaryDirectory(prefix="imagekit-bench-") as temporary:
        work = (folder or Path(temporary)).absolute()
        for name in parts or every:
            every[name](work)


main()
