# SPDX-License-Identifier: Apache-2.0
"""`imagekit init`: a first spec for a project."""

from __future__ import annotations

from pathlib import Path

import click

from imagekit.cli.options import output_option, print_json
from imagekit.errors import Problem, SpecError
from imagekit.spec.load import parse_spec
from imagekit.spec.starting import start_from


@click.command(epilog="Example: imagekit init && imagekit build spec.yaml")
@click.argument("folder", type=click.Path(exists=True, file_okay=False), default=".")
@output_option
def command(folder: str, output: str) -> None:
    """Write spec.yaml for the project in FOLDER, and say what of the project it leaves out.

    It is made from pyproject.toml, with a uv.lock, poetry.lock or pylock.toml where there is one,
    or from requirements.txt. A spec.yaml that is there already is an error.
    """
    path = Path(folder) / "spec.yaml"
    found = start_from(Path(folder))
    text = found.dumps()
    parse_spec(text, source=str(path), folder=path.parent)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise SpecError(str(path), [Problem("is there already", None, "edit that one")]) from error
    for line in found.left_out:
        click.echo(f"left out: {line}", err=True)
    if output == "json":
        print_json({"spec": str(path), "left_out": list(found.left_out)})
    else:
        click.echo(path)
