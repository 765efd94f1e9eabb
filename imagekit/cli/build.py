# SPDX-License-Identifier: Apache-2.0
"""`imagekit build`: one line on stdout per image, `NAME@sha256:...`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click

from imagekit.answers import Answers
from imagekit.builders.clients import client_when_asked
from imagekit.builders.model import Built
from imagekit.builders.options import Options
from imagekit.cli.common import (
    allow_build_option,
    build_spec,
    data_lines,
    lock_spec,
    locked_option,
    output_option,
    print_json,
    progress_option,
    shown_progress,
)
from imagekit.cli.summary import Failure, described, summarised
from imagekit.fleet.batch import build_all
from imagekit.fleet.find import find_specs
from imagekit.lock.model import Lock
from imagekit.progress import Progress
from imagekit.progress.named import named
from imagekit.receipts.keep import Image, keep_receipt
from imagekit.spec.model import PLATFORMS, ImageSpec


@click.command(epilog="Example: imagekit build spec.yaml --to oci:image")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@click.option(
    "--to",
    metavar="DEST",
    multiple=True,
    help="docker://HOST/NAME:TAG, oci:DIR, oci-archive:FILE, docker-archive:FILE or "
    "docker-daemon:NAME:TAG; repeatable. Without it the image lands in the local store.",
)
@click.option("--push", is_flag=True, help="Push to the spec's registry, under the image's tag.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="How many images are built at the same time.",
)
@click.option(
    "--no-remote-layers",
    "rebuild",
    is_flag=True,
    help="Take no layer from a registry; compare what is made here with what the lock says.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Build with docker, buildkit or envd even what the registry has from this very lock.",
)
@click.option(
    "--platform",
    type=click.Choice(PLATFORMS),
    help="Build for this platform alone; `imagekit index` brings those of all together.",
)
@locked_option
@allow_build_option
@progress_option
@output_option
def command(
    *,
    specs: tuple[str, ...],
    to: tuple[str, ...],
    push: bool,
    jobs: int,
    rebuild: bool,
    force: bool,
    platform: str | None,
    locked: bool,
    allow_build: bool,
    output: str,
) -> int:
    """Build an image from each SPEC, and print its reference with its digest.

    SPEC is a file, a folder with specs below it, or FILE:NAME for one image of a matrix. A spec
    without a lock is locked first; a lock that no longer belongs to its spec is an error. Of more
    images than one the largest are begun first, and one that fails doesn't stop the others.
    """
    found = _found(specs, to)
    chosen = Options(push=push, rebuild=rebuild, force=force, allow_build=allow_build)
    images: list[Image] = []
    failures: list[Failure] = []
    with (
        data_lines() as say,
        shown_progress(keep_log=True) as progress,
        client_when_asked(progress) as client,
    ):
        options = replace(chosen, platform=platform or "", client=client, answers=Answers())

        def build_one(address: Path) -> Built:
            with named(progress, str(address) if len(found) > 1 else "") as shown:
                return build_spec(address, to=to, locked=locked, progress=shown, options=options)

        lock_one = None if locked else _locker(progress, options)
        for outcome in build_all(found, build_one, jobs, lock_one):
            failures += [(str(outcome.address), outcome.error)] if outcome.error else []
            if outcome.built is not None:
                images.append(Image(found[outcome.address], outcome.address, outcome.built))
                if output == "text":
                    say(str(outcome.built))
    if len(found) == 1 and failures:
        raise failures[0][1]
    if output == "json":
        _print_described(images, failures)
    elif not failures and not rebuild:
        keep_receipt(images, to, push=push, force=force)
    return summarised("built", "images", len(images), failures)


def _found(specs: Sequence[str], to: Sequence[str]) -> dict[Path, ImageSpec]:
    found = find_specs(specs)
    if to and len(found) > 1:
        raise click.UsageError("--to takes one image: several would meet in one place")
    return found


def _locker(progress: Progress, options: Options) -> Callable[[Path], tuple[Lock, ...]]:
    """What locks one of several specs."""

    def lock_one(address: Path) -> tuple[Lock, ...]:
        with named(progress, str(address)) as shown:
            return lock_spec(address, progress=shown, options=options)

    return lock_one


def _print_described(images: Sequence[Image], failures: Sequence[Failure]) -> None:
    built: list[dict[str, str]] = [
        {"spec": str(each.address), "image": str(each.built), "digest": each.built.digest}
        for each in images
    ]
    print_json([*built, *described(failures)])
