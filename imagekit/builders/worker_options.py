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

_NAMES = {
    "azblob": ("name", "buildkit"),
    "gha": ("scope", "buildkit"),
    "inline": ("", ""),
    "local": ("tag", "latest"),
    "registry": ("ref", ""),
    "s3": ("name", "buildkit"),
}
"""BuildKit's kinds of caches: the option that names one, and the name where it is left out."""


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


def imports(text: str, folder: Path, platform: str = "") -> tuple[Cache, ...]:
    """The caches of `cache_from`, as `docker buildx` writes each: `type=registry,ref=HOST/NAME`.

    A name alone is a registry's; `;` stands between several. Paths are relative to `folder`. A
    folder that nothing was kept in yet is left out. Of one of several platforms there are its own
    (see `exports`) before those of the names as they are written.

    Raises BuildError for what is no cache.
    """
    suffixes = [_suffix(platform), ""] if platform else [""]
    found = (_cache(item, "src", folder, each) for item in _items(text) for each in suffixes)
    pinned = (cache for cache in map(_pinned, found) if cache is not None)
    return tuple({(x.kind, *sorted(x.options.items())): x for x in pinned}.values())


def exports(text: str, folder: Path, platform: str = "") -> tuple[Cache, ...]:
    """Those of `cache_to`, likewise; nothing is left out.

    With `platform`, one of several, each has a name of its own, `NAME-linux-amd64`: a worker
    replaces what the name meant, and the last platform would leave nothing of the others.
    """
    suffix = _suffix(platform) if platform else ""
    return tuple(_cache(item, "dest", folder, suffix) for item in _items(text))


def _suffix(platform: str) -> str:
    return "-" + platform.replace("/", "-")


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(";") if item.strip()]


def _cache(text: str, place: str, folder: Path, suffix: str) -> Cache:
    if "=" not in text:
        text = f"type=registry,ref={text}"
    options = dict(pair.strip().partition("=")[::2] for pair in text.split(","))
    kind = options.pop("type", "")
    if kind not in _NAMES:
        raise BuildError(
            f"{text!r} is no cache",
            hint=f"write type=registry,ref=HOST/NAME; known types are {', '.join(sorted(_NAMES))}",
        )
    if suffix:
        options = _renamed(kind, options, suffix)
    if kind != "local":
        return Cache(kind, options)
    if not options.get(place):
        raise BuildError(f"{text!r} names no folder", hint=f"write type=local,{place}=FOLDER")
    path = Path(os.path.abspath(folder / options.pop(place)))
    kept = CacheFolder(path, options.pop("tag", "latest"))
    return Cache(kind, {**options, place: kept.identifier}, kept)


def _renamed(kind: str, options: dict[str, str], suffix: str) -> dict[str, str]:
    """With the suffix on the name; one by its digest is what it is, and `inline` is the image's."""
    key, default = _NAMES[kind]
    name = options.get(key, default)
    if not name or "@" in name:
        return options
    if kind == "registry" and ":" not in name.rpartition("/")[2]:
        name += ":latest"
    return {**options, key: name + suffix}


def _pinned(cache: Cache) -> Cache | None:
    """A worker reads a folder's cache by its digest."""
    if cache.folder is None:
        return cache
    digest = cache.folder.digest()
    if digest is None:
        return None
    return replace(cache, options={**cache.options, "digest": digest})
