# SPDX-License-Identifier: Apache-2.0
"""`imagekit plan`: what a build will come to, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from imagekit.builders.planned import Planned, plan_image
from imagekit.builders.runtime import runtime_pin
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
from imagekit.sizes import shown_size
from imagekit.spec.load import load_spec

_REGISTRY = "docker://"


@click.command(epilog="Example: imagekit plan spec.yaml --push")
@click.argument("spec", metavar="SPEC", type=SPEC)
@click.option("--to", metavar="docker://HOST/NAME[:TAG]", help="Ask this registry what it has.")
@click.option("--push", is_flag=True, help="Ask the spec's registry what it has.")
@click.option(
    "--dockerfile",
    is_flag=True,
    help="Print the Dockerfile that the docker and buildkit builders use instead.",
)
@locked_option
@progress_option
@output_option
def command(
    spec: Path, to: str | None, push: bool, dockerfile: bool, locked: bool, output: str
) -> None:
    """Say what building SPEC will come to: layers, sizes, bytes to push, and the digest.

    Each layer is reused from the cache, or will be built. With a registry it is present there,
    mounted from a neighbouring repository, or pushed. The digest is exact where the bytes of all
    layers are known, from the cache or from the lock; else the plan names the layers that are not.
    A spec without a lock is resolved first, as `imagekit build` does.
    """
    if dockerfile:
        if to is not None or push:
            raise click.UsageError("--dockerfile asks no registry")
        _print_dockerfiles(spec, locked=locked, output=output)
        return
    planned = _plan(spec, to=to, push=push, locked=locked)
    if output == "json":
        print_json(planned.to_dict())
    else:
        for line in _lines(planned):
            click.echo(line)


def _print_dockerfiles(path: Path, *, locked: bool, output: str) -> None:
    from imagekit.builders.dockerfiles import dockerfiles  # noqa: PLC0415 - most plans render none

    spec = load_spec(path)
    with shown_progress() as progress:
        locks = ensure_lock(spec, path, locked=locked, runtime=runtime_pin(), progress=progress)
        found = dockerfiles(spec, path, locks, progress)
    if output == "json":
        print_json(found)
        return
    for platform, text in found.items():
        heading = f"# {platform}\n" if len(found) > 1 else ""
        click.echo(heading + text, nl=False)


def _plan(path: Path, *, to: str | None, push: bool, locked: bool) -> Planned:
    if to is not None and (push or not to.startswith(_REGISTRY)):
        raise click.UsageError(f"--to takes {_REGISTRY}HOST/NAME[:TAG], and no --push beside it")
    spec = load_spec(path)
    if push and spec.registry is None:
        raise BuildError("the spec names no registry to push to", hint="add `registry: HOST/TEAM`")
    push_to = "" if push else None
    if to is not None:
        push_to = to.removeprefix(_REGISTRY)
    with shown_progress() as progress:
        locks = ensure_lock(spec, path, locked=locked, runtime=runtime_pin(), progress=progress)
        return plan_image(spec, path, locks, progress, push_to=push_to)


def _lines(planned: Planned) -> Iterator[str]:
    yield planned.name
    for each in planned.platforms:
        total = sum(layer.size_bytes for layer in each.layers)
        about = "" if each.image is not None else "about "
        yield f"{each.platform}: {len(each.layers)} layers, {about}{shown_size(total)}"
        for layer in each.layers:
            size = shown_size(layer.size_bytes) if layer.size_bytes else "?"
            size = size if layer.layer else f"~{size}"
            words = [layer.here, planned.there(layer) or ""]
            yield f"  {size:>10}  {words[0]:<7} {words[1]:<8}{layer.origin}".rstrip()
        for wheel, builds in each.sources:
            what = "is built on this machine" if builds else "was built for the lock"
            yield f"source  {wheel.name} {wheel.version} {what}, from {wheel.built}"
    yield from filter(None, (*planned.bytecode, *planned.running, *planned.worker))
    for told in dict.fromkeys(filter(None, planned.cuda)):
        yield f"cuda    {told.explanation}"
        yield from (f"warning {warning}" for warning in told.warnings)
    if planned.sending is not None:
        least = "" if planned.sending.exact else "at least "
        yield f"push    {least}{shown_size(planned.sending.size_bytes)} to {planned.registry}"
    if planned.existing is not None and planned.existing.answer == "exists":
        yield f"exists  {planned.registry}@{planned.existing.digest}, from this very lock"
    if planned.digest is not None:
        yield f"digest  {planned.digest}"
    else:
        yield f"digest  unknown until these are built: {', '.join(planned.unknown)}"
