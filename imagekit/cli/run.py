# SPDX-License-Identifier: Apache-2.0
"""`imagekit run`: a task in an image, its outputs as JSON on stdout.

What the task itself prints goes to stderr, so that stdout is data alone. The folder for outputs is
mounted at the path that it has on this machine: the path of a file among the outputs is right on
both sides.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from entrypoint.contract import call_arguments
from imagekit.cli.common import build_spec, locked_option, progress_option, shown_progress
from imagekit.cli.images import find_image
from imagekit.engines import ENGINES, Mount, run_image
from imagekit.errors import EngineError
from imagekit.oci.image import Image
from imagekit.spec.address import split
from imagekit.values import frozen

_OUTPUTS = "outputs.json"
_DOCUMENTS = frozenset({_OUTPUTS, "outputs.pb", "error.pb", "deck.html"})
_INPUTS_AT = "/run/imagekit/inputs"


@frozen
class _Folders:
    """What the task reads from and writes to; `inputs` is None when there is no file of them."""

    inputs: Path | None
    outputs: Path


@click.command(epilog="Example: imagekit run spec.yaml tasks:train depth=3")
@click.argument("image", metavar="IMAGE|SPEC")
@click.argument("target", metavar="MODULE:FUNCTION")
@click.argument("values", metavar="[NAME=VALUE]...", nargs=-1)
@click.option(
    "--inputs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file with the inputs by name.",
)
@click.option(
    "--outputs",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps all outputs; without it only outputs that are files are kept.",
)
@click.option("--engine", type=click.Choice(["auto", *ENGINES]), default="auto", show_default=True)
@locked_option
@progress_option
def command(
    image: str,
    target: str,
    values: tuple[str, ...],
    inputs: Path | None,
    outputs: Path | None,
    engine: str,
    locked: bool,
) -> int:
    """Call MODULE:FUNCTION in an image, and print what it returns as JSON.

    A SPEC (a .yaml file) is built first. Ends with the task's exit code. This is a convenience, not
    a security boundary: run only what you trust.
    """
    found = _image(image, locked=locked)
    with _folders(inputs, outputs) as folders:
        mounts = [Mount(folders.outputs, str(folders.outputs))]
        if folders.inputs is not None:
            mounts.append(Mount(folders.inputs, _INPUTS_AT, read_only=True))
        given = None if inputs is None else f"{_INPUTS_AT}/inputs.json"
        argv = call_arguments(target, values, inputs=given, output_prefix=str(folders.outputs))
        with _stdout_on_stderr():
            code = run_image(found, argv, engine=engine, mounts=mounts)
        if code == 0:
            click.echo(_written(folders.outputs / _OUTPUTS))
    return code


def _image(text: str, *, locked: bool) -> Image:
    path = split(Path(text))[0]
    if path.suffix in (".yaml", ".yml", ".py") and path.is_file():
        with shown_progress(keep_log=True) as progress:
            return build_spec(Path(text), to=(), locked=locked, progress=progress).image
    return find_image(text)


@contextlib.contextmanager
def _folders(inputs: Path | None, outputs: Path | None) -> Iterator[_Folders]:
    """Folders of our own go away at the end, unless the task left files among its outputs."""
    private = Path(tempfile.mkdtemp(prefix="imagekit-run-"))
    kept = outputs or private / "outputs"
    kept.mkdir(parents=True, exist_ok=True)
    if outputs is None:
        # The task may be another user; nobody else of this machine gets into `private`.
        kept.chmod(0o777)
    try:
        yield _Folders(None if inputs is None else _copied(inputs, private), kept.absolute())
    finally:
        if outputs is None and any(entry.name not in _DOCUMENTS for entry in kept.iterdir()):
            click.echo(f"files of the task are in {kept}", err=True)
        else:
            shutil.rmtree(private, ignore_errors=True)


def _copied(inputs: Path, private: Path) -> Path:
    """A folder with nothing but the inputs, as engines mount folders."""
    folder = private / "inputs"
    folder.mkdir(mode=0o755)
    (folder / "inputs.json").write_bytes(inputs.read_bytes())
    return folder


@contextlib.contextmanager
def _stdout_on_stderr() -> Iterator[None]:
    """What is started in this block has our stderr as its stdout."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _written(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except FileNotFoundError as error:
        raise EngineError(
            "the image ended well and wrote no outputs",
            hint="was it built with an entrypoint of its own? Then it runs no tasks",
        ) from error
