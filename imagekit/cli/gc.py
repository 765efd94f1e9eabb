# SPDX-License-Identifier: Apache-2.0
"""`imagekit gc`: the caches stay below a size and an age, while builds go on."""

from __future__ import annotations

import re
import time

import click

from imagekit import usage
from imagekit.cli.common import output_option, print_json
from imagekit.housekeeping.collect import Limits, collect
from imagekit.oci.store import Store, StoredImage
from imagekit.paths import cache_directory
from imagekit.sizes import shown_size

_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZES |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def _size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", value.lower())
    if match is None or match[2] not in _SIZES:
        raise click.BadParameter(f"{value!r} is no size such as 500MB or 20GiB")
    return int(float(match[1]) * _SIZES[match[2]])


def _age(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """In seconds."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)([smhdw])", value.lower())
    if match is None:
        raise click.BadParameter(f"{value!r} is no age such as 12h, 30d or 4w")
    return int(match[1]) * _SECONDS[match[2]]


@click.command(epilog="Example: imagekit gc --max-size 20GB --max-age 30d")
@click.option(
    "--max-size", metavar="SIZE", callback=_size, help="Of the caches together, such as 20GB."
)
@click.option(
    "--max-age", metavar="AGE", callback=_age, help="Remove what was not used for AGE, as in 30d."
)
@click.option(
    "--images", metavar="AGE", callback=_age, help="Also forget stored images not used for AGE."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@output_option
def command(
    max_size: int | None, max_age: int | None, images: int | None, dry_run: bool, output: str
) -> None:
    """Remove from the caches what was used longest ago, and of the store what no image needs.

    What running builds have asked for stays. All of it can be made or downloaded again, but for
    images in the local store: these go only with --images.
    """
    store = Store()
    forgotten, store_bytes = _prune(store, images, dry_run=dry_run)
    collected = collect(cache_directory(), store, Limits(max_size, max_age), dry_run=dry_run)
    freed_bytes = collected.freed_bytes + store_bytes
    if output == "json":
        print_json(
            {
                "removed": [str(each.path) for each in collected.removed],
                "kept_in_use": [str(each.path) for each in collected.kept_in_use],
                "images": forgotten,
                "freed": freed_bytes,
            }
        )
        return
    verb = "would remove" if dry_run else "removed"
    images_text = f" and {len(forgotten)} images" if forgotten else ""
    click.echo(f"{verb} {len(collected.removed)} entries{images_text}, {shown_size(freed_bytes)}")
    if collected.kept_in_use:
        click.echo(f"kept {len(collected.kept_in_use)} entries that running processes may use")


def _prune(store: Store, age_seconds: int | None, *, dry_run: bool) -> tuple[list[str], int]:
    """The names of forgotten images, and the bytes that came back."""
    if usage.others_running():
        click.echo("note: others are running: the local store is left as it is", err=True)
        return [], 0

    def unwanted(image: StoredImage) -> bool:
        unused_seconds = time.time() - image.last_used_ns / 1e9
        return age_seconds is not None and unused_seconds >= age_seconds

    names = [image.name for image in store.list() if unwanted(image)]
    return names, 0 if dry_run else store.remove(unwanted)
