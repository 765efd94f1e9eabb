# SPDX-License-Identifier: Apache-2.0
"""Which builders there are, and which options each of them has.

A builder of another package is known by its entry point, and checks its options itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import urlsplit

GROUP = "imagekit.builders"
"""The entry-point group of builders of others."""

NETWORKS = ("default", "host", "none")


Check = Callable[[str], str | None]
"""What is wrong with an option's value, as the rest of a sentence, or None."""

TLS_FILES = ("tls_ca", "tls_cert", "tls_key")
"""Options that name files, relative to the spec."""

_WORKERS = ("unix:///", "tcp://", "docker-container://", "kube-pod://")


def _url(text: str) -> str | None:
    usable = urlsplit(text).scheme in ("http", "https", "file")
    return None if usable else "is not an http, https or file URL"


def _network(text: str) -> str | None:
    return None if text in NETWORKS else f"is none of {', '.join(NETWORKS)}"


def _text(text: str) -> str | None:
    return None if text.strip() else "is empty"


def _address(text: str) -> str | None:
    """Of a worker, or one for each platform."""
    for item in text.split(",") if text.startswith("linux/") else [text]:
        address = item.strip().removeprefix("linux/amd64=").removeprefix("linux/arm64=")
        if not address.startswith(_WORKERS):
            return f"has no address of a worker: one begins with {' or '.join(_WORKERS)}"
    return None


def _cache(place: str) -> Check:
    """Of `cache_from` or `cache_to`, which name a folder as `place`."""

    def check(text: str) -> str | None:
        items = [item.strip() for item in text.split(";") if item.strip()]
        problems = (_wrong_cache(item, place) for item in items)
        return next(filter(None, problems), None) if items else "is empty"

    return check


def _wrong_cache(item: str, place: str) -> str | None:
    if "=" not in item:  # the name of a registry's repository
        return None
    said = dict(pair.strip().partition("=")[::2] for pair in item.split(","))
    kind = said.get("type")
    if not kind:
        return f"holds {item!r}, which is no cache: write type=registry,ref=HOST/NAME"
    needed = {"local": place, "registry": "ref"}.get(kind)
    if needed and not said.get(needed):
        return f"holds {item!r}, which names no {needed}: write type={kind},{needed}=..."
    if said.get("mode", "max") not in ("min", "max"):
        return f"holds {item!r}: mode is none of min, max"
    return None


def _provenance(text: str) -> str | None:
    return None if text in ("min", "max") else "is none of min, max"


_DEBIAN: Mapping[str, Check] = {
    f"{distribution}_{kind}": _url
    for distribution in ("debian", "ubuntu")
    for kind in ("mirror", "security_mirror")
}

OPTIONS: Mapping[str, Mapping[str, Check]] = {
    "native": _DEBIAN,
    "docker": {**_DEBIAN, "network": _network},
    "buildkit": {
        **_DEBIAN,
        "network": _network,
        "address": _address,
        **dict.fromkeys(TLS_FILES, _text),
        "cache_from": _cache("src"),
        "cache_to": _cache("dest"),
        "provenance": _provenance,
    },
    "envd": {**_DEBIAN, "address": _text},
    "prebuilt": {},
}
"""By builder; every one of ours stands here."""

AUTO = "auto"
"""The builder is chosen when something is built."""

_OTHER_NAMES = {"noop": "prebuilt"}


def named_builder(name: str | None) -> str:
    """The builder's own name, of the one or more that it has in specs."""
    return "native" if name is None else _OTHER_NAMES.get(name, name)


def unknown_builder(name: str) -> tuple[str, str] | None:
    """What to say of a name that nobody registered, with a hint; None for a builder."""
    if named_builder(name) in (*OPTIONS, AUTO) or _registered(name):
        return None
    import difflib  # noqa: PLC0415 - names are mostly spelled right

    near = difflib.get_close_matches(name, [*OPTIONS, AUTO], n=1)
    hint = f"did you mean {near[0]}?" if near else f"use {' or '.join([*OPTIONS, AUTO])}"
    return f"builder {name!r} is not supported", hint


def wrong_options(
    builder: str, options: Mapping[str, str]
) -> Iterator[tuple[str, str, str | None]]:
    """Each option that the builder does not have or can't use: its name, what to say, a hint."""
    known = _options(builder)
    if known is None:
        return
    for name, text in options.items():
        if name not in known:
            yield name, f"unknown option {name!r}", f"{builder} knows {' and '.join(known)}"
        elif problem := known[name](text):
            yield name, f"builder_options.{name} {problem}", None


def unasked_mirrors(
    options: Iterable[str], *, embedded: bool, adds: bool
) -> Iterator[tuple[str, str]]:
    """Each option that names a mirror which nothing is asked of, and what to say.

    `embedded` is whether the base is that of Debian packages, `adds` whether any are added to it.
    """
    for option in options:
        if option.startswith("debian_") and not (embedded or adds):
            yield (
                option,
                f"builder_options.{option} is for base_image: debian, and for apt_packages",
            )
        elif option.startswith("ubuntu_") and (embedded or not adds):
            yield option, f"builder_options.{option} is for apt_packages on an image of Ubuntu"


def _registered(name: str) -> bool:
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and seldom needed

    return bool(entry_points(group=GROUP, name=name))


def _options(builder: str) -> Mapping[str, Check] | None:
    """Of `auto` those of each builder that it may come to."""
    if builder == AUTO:
        return {name: check for found in OPTIONS.values() for name, check in found.items()}
    return OPTIONS.get(named_builder(builder))
