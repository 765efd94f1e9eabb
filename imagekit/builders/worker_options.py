# SPDX-License-Identifier: Apache-2.0
"""What a spec, or the environment, says of BuildKit workers: addresses, certificates, caches."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from imagekit.buildkit.cache_folder import CacheFolder
from imagekit.buildkit.endpoint import Certificates
from imagekit.buildkit.solve import Cache
from imagekit.errors import BuildError

ADDRESS_VARIABLE = "BUILDKIT_HOST"
"""As buildctl has it."""


def addresses(
    options: Mapping[str, str], environ: Mapping[str, str], platforms: Sequence[str]
) -> dict[str, str]:
    """The worker of each platform: `ADDRESS`, or `PLATFORM=ADDRESS,PLATFORM=ADDRESS`.

    The spec's option `address` comes before the environment.

    Raises BuildError where a platform has none.
    """
    text = options.get("address") or environ.get(ADDRESS_VARIABLE, "")
    if not text:
        raise BuildError(
            "no BuildKit worker is named",
            hint=f"`builder_options: {{address: ...}}` in the spec or {ADDRESS_VARIABLE} names it: "
            "unix:///PATH, tcp://HOST:PORT, docker-container://NAME, kube-pod://NAME",
        )
    if not text.startswith("linux/"):
        return dict.fromkeys(platforms, text)
    pairs = (item.strip().partition("=") for item in text.split(","))
    found = {platform: address for platform, _, address in pairs if address}
    missing = [platform for platform in platforms if platform not in found]
    if missing:
        raise BuildError(
            f"no BuildKit worker is named for {', '.join(missing)}",
            hint=f"the addresses are for {', '.join(found) or 'nothing'}",
        )
    return {platform: found[platform] for platform in platforms}


def certificates(options: Mapping[str, str], folder: Path) -> Certificates | None:
    """For tcp addresses; paths are relative to `folder`.

    Raises BuildError for a certificate without its key.
    """
    names = ("tls_ca", "tls_cert", "tls_key")
    paths = [folder / options[name] if name in options else None for name in names]
    if not any(paths):
        return None
    if (paths[1] is None) != (paths[2] is None):
        raise BuildError("builder_options: tls_cert and tls_key belong together")
    return Certificates(paths[0], paths[1], paths[2])


def imports(text: str, folder: Path) -> tuple[Cache, ...]:
    """The caches of `cache_from`, as `docker buildx` writes each: `type=registry,ref=HOST/NAME`.

    A name alone is a registry's; `;` stands between several. Paths are relative to `folder`. A
    folder that nothing was kept in yet is left out.

    Raises BuildError for what is no cache.
    """
    found = (_cache(item, "src", folder) for item in _items(text))
    return tuple(cache for cache in map(_pinned, found) if cache is not None)


def exports(text: str, folder: Path) -> tuple[Cache, ...]:
    """Those of `cache_to`, likewise; nothing is left out."""
    return tuple(_cache(item, "dest", folder) for item in _items(text))


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(";") if item.strip()]


def _cache(text: str, place: str, folder: Path) -> Cache:
    if "=" not in text:
        return Cache("registry", {"ref": text})
    options = dict(pair.strip().partition("=")[::2] for pair in text.split(","))
    kind = options.pop("type", "")
    if not kind:
        raise BuildError(f"{text!r} is no cache", hint="write type=registry,ref=HOST/NAME")
    if kind != "local":
        return Cache(kind, options)
    if not options.get(place):
        raise BuildError(f"{text!r} names no folder", hint=f"write type=local,{place}=FOLDER")
    path = Path(os.path.abspath(folder / options.pop(place)))
    kept = CacheFolder(path, options.pop("tag", "latest"))
    return Cache(kind, {**options, place: kept.identifier}, kept)


def _pinned(cache: Cache) -> Cache | None:
    """A worker reads a folder's cache by its digest."""
    if cache.folder is None:
        return cache
    digest = cache.folder.digest()
    if digest is None:
        return None
    return replace(cache, options={**cache.options, "digest": digest})
