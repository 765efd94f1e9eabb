# SPDX-License-Identifier: Apache-2.0
"""`imagekit cache`: what lies on this disk, and which images it belongs to."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from imagekit.cli.common import output_option, print_json
from imagekit.housekeeping.survey import KINDS, CacheEntry, survey
from imagekit.oci.store import Store
from imagekit.paths import cache_directory
from imagekit.sizes import shown_size


@click.command(epilog="Example: imagekit cache --output json")
@output_option
def command(output: str) -> None:
    """Show what the caches and the local store hold.

    Text has a line for each kind and each image. JSON has every entry with its path, its sizes,
    when it was last used, and the images that hold it.
    """
    store = Store()
    entries = survey(cache_directory(), store)
    if output == "json":
        print_json({"entries": [_entry(each) for each in entries], "images": _images(store)})
        return
    click.echo(f"{cache_directory()}: {shown_size(sum(each.frees_bytes for each in entries))}")
    for kind in KINDS:
        _print_kind(kind, [each for each in entries if each.kind == kind])
    click.echo("local store:")
    for image in _images(store):
        click.echo(f"  {image['name']}  last used {image['last_used']}")


def _print_kind(kind: str, entries: Sequence[CacheEntry]) -> None:
    size = shown_size(sum(each.size_bytes for each in entries))
    shared_bytes = sum(each.size_bytes - each.frees_bytes for each in entries)
    shared = f", {shown_size(shared_bytes)} of it shared with images" if shared_bytes else ""
    click.echo(f"  {kind:<10} {len(entries):>6}  {size}{shared}")


def _entry(entry: CacheEntry) -> dict[str, object]:
    return {
        "kind": entry.kind,
        "path": str(entry.path),
        "size": entry.size_bytes,
        "frees": entry.frees_bytes,
        "last_used": _time(entry.last_used_ns),
        "images": list(entry.images),
    }


def _images(store: Store) -> list[dict[str, str]]:
    return [
        {"name": each.name, "digest": each.digest, "last_used": _time(each.last_used_ns)}
        for each in store.list()
    ]


def _time(nanoseconds: int) -> str:
    """RFC 3339, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(nanoseconds // 1_000_000_000))
