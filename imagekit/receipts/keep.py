# SPDX-License-Identifier: Apache-2.0
"""Leaves the receipt of a build that went well. Where one can't be left, nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from imagekit.builders import latest
from imagekit.builders.identity import is_native
from imagekit.builders.layerings import LOCK_ANNOTATION
from imagekit.builders.model import Built
from imagekit.builders.runtime import runtime_pin
from imagekit.builders.targets import Target, parse_target
from imagekit.errors import ImagekitError
from imagekit.files import replacing
from imagekit.layers.cache import LayerCache
from imagekit.lock.ensure import ensure_lock
from imagekit.lock.file import lock_path
from imagekit.oci import media_types
from imagekit.oci.destinations import Destination
from imagekit.oci.digest import hexadecimal
from imagekit.oci.index import Named, documents_of, images_of
from imagekit.paths import data_directory
from imagekit.progress import Silent
from imagekit.receipts.again import receipt_path
from imagekit.receipts.reading import unchanged
from imagekit.receipts.watch import Watch, current
from imagekit.registry.reference import RegistryReference, is_loopback
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen


@frozen
class Image:
    """One that was built."""

    spec: ImageSpec
    address: Path
    built: Built


def keep_receipt(
    images: Sequence[Image], to: Sequence[str], *, push: bool, force: bool = False
) -> None:
    """Leave the receipt of this process's command, which built `images` and brought them `to`.

    There is none where something else than files decides, or may have changed meanwhile: for specs
    in Python, archives as places, engines as places of other builders than docker, and with
    `force` for others than the native one.
    """
    watch = current()
    if watch is None:
        return
    with contextlib.suppress(OSError, ImagekitError):
        places = [place for image in images for place in _places(image, to, push=push)]
        forced = force and not all(is_native(image.spec) for image in images)
        if forced or None in places or not all(_stands(watch, image) for image in images):
            return
        watch.forget(place["folder"] for place in places if place and "folder" in place)
        files = {**watch.loaded(), **watch.files}
        if watch.unsettled:
            return
        receipt = {
            "files": files,
            "folders": watch.folders,
            "places": places,
            "uses": sorted({path for image in images for path in _uses(image)}),
            "output": "".join(f"{image.built}\n" for image in images),
        }
        with replacing(Path(receipt_path(watch.arguments))) as stream:
            stream.write(json.dumps(receipt).encode())


def _stands(watch: Watch, image: Image) -> bool:
    """Whether the next build would find this image's lock: this one may have written it."""
    address = image.address
    path = lock_path(address)
    if address.suffix == ".py":
        return False
    if image.spec.builder == "docker":
        read = watch.files.get(os.path.abspath(path))
        return read is not None and unchanged(str(path), read)
    if not is_native(image.spec):
        return False
    data = path.read_bytes()
    locks = ensure_lock(image.spec, address, locked=True, runtime=runtime_pin(), progress=Silent())
    if path.read_bytes() != data:
        return False
    watch.took(os.path.abspath(path), data)
    last = latest.place(address)
    watch.took(str(last), last.read_bytes())
    locked = {lock.target.platform: lock.digest for lock in locks}
    return all(
        each.annotations.get(LOCK_ANNOTATION) == locked.get(str(each.platform))
        for each in images_of(image.built.named)
    )


def _places(image: Image, to: Sequence[str], *, push: bool) -> Iterator[dict[str, Any] | None]:
    """How each place is looked into; None for one that can't be."""
    if not is_native(image.spec):
        from imagekit.receipts.in_engine import (  # noqa: PLC0415 - native builds ask no engine
            engine_place,
        )

        alone = image.spec.builder == "docker" and not to and not push
        yield engine_place(image.built) if alone else None
        return
    name, named = f"{image.built.reference}:{image.built.tag}", image.built.named
    targets = [parse_target(text) for text in to]
    if push:
        targets.append(RegistryReference.parse(name))
    for target in targets:
        yield _place(target, named)
    if not targets:
        yield _layout(data_directory() / "store", name, named)


def _place(target: Target, named: Named) -> dict[str, Any] | None:
    if isinstance(target, RegistryReference):
        return _registry(target, named)
    if isinstance(target, Destination) and target.transport == "oci":
        return _layout(target.path, target.reference or "latest", named)
    return None


def _layout(folder: Path, name: str, named: Named) -> dict[str, Any]:
    sizes = {digest: len(data) for digest, data in documents_of(named).items()}
    for image in images_of(named):
        sizes.update((layer.digest, layer.size_bytes) for layer in image.layers)
    return {
        "kind": "layout",
        "folder": str(folder.absolute()),
        "name": name,
        "digest": named.digest,
        "blobs": {hexadecimal(digest): size for digest, size in sizes.items()},
    }


def _registry(reference: RegistryReference, named: Named) -> dict[str, Any]:
    return {
        "kind": "registry",
        "reference": str(reference),
        "digest": named.digest,
        "plain": is_loopback(reference.server),
        "host": reference.server,
        "path": f"/v2/{reference.repository}/manifests/{reference.wanted}",
        "accept": ", ".join(sorted(media_types.MANIFESTS | media_types.INDEXES)),
    }


def _uses(image: Image) -> Iterator[str]:
    """What of ours is used, which `imagekit gc` may take away; engines' images are theirs."""
    if not is_native(image.spec):
        return
    named = image.built.named
    cache = LayerCache().root / "blobs" / "sha256"
    store = data_directory() / "store" / "blobs" / "sha256"
    yield str(store / hexadecimal(named.digest))
    for each in images_of(named):
        yield from (str(cache / hexadecimal(layer.digest)) for layer in each.layers)
