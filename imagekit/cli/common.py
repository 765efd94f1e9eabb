# SPDX-License-Identifier: Apache-2.0
"""What several verbs share: how specs and images are named, how data and progress are shown."""

from __future__ import annotations

import json
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from imagekit.builders import Built, build, runtime_pin
from imagekit.lock.ensure import ensure_lock
from imagekit.oci.destinations import Destination, read_image
from imagekit.oci.image import Image
from imagekit.oci.store import Store
from imagekit.progress import Progress, open_progress
from imagekit.registry.client import shared_client
from imagekit.registry.reference import RegistryReference
from imagekit.spec.load import load_spec

SPEC = click.Path(exists=True, dir_okay=False, path_type=Path)
_TRANSPORTS = ("oci:", "oci-archive:", "docker-archive:", "docker-daemon:")

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


def build_spec(
    path: Path, *, to: tuple[str, ...], locked: bool, progress: Progress, push: bool = False
) -> Built:
    """Build the spec at `path`; make its lock first where there is none, unless `locked`."""
    spec = load_spec(path)
    lock = ensure_lock(spec, path, locked=locked, runtime=runtime_pin(), progress=progress)
    return build(spec, path, lock, to, progress, push=push)


def find_image(text: str) -> Image:
    """The image that `text` names: by its transport, or in the local store."""
    if text.startswith("docker://"):
        return shared_client().pull(RegistryReference.parse(text.removeprefix("docker://")))
    if text.startswith(_TRANSPORTS):
        return read_image(Destination.parse(text))
    return Store().find(text)


def print_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def shown_progress() -> AbstractContextManager[Progress]:
    """Progress on stderr, as bars or lines."""
    return open_progress(sys.stderr, os.environ)
